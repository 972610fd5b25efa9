"""The tables say what their columns mean, and what must not be shown."""

import pytest

from schema.piccolo_app import APP_CONFIG

TABLES = APP_CONFIG.table_classes
OWN_MEANING = {"id", "created_at", "username", "password", "first_name", "last_name", "active", "minimum_plan_id"}


def test_the_app_has_all_tables():
    assert {table._meta.tablename for table in TABLES} == {
        "organization",
        "users",
        "membership",
        "plan",
        "plan_limit",
        "subscription",
        "service",
        "operation",
        "api_key",
        "request_log",
        "plan_price",
        "plan_version",
        "limit_override",
        "trial_claim",
        "credit_account",
        "credit_entry",
        "credit_grant",
        "credit_holder",
        "credit_lease",
        "credit_reservation",
        "idempotent_request",
        "portal_session",
        "user_link",
        "bonus_claim",
        "totp_factor",
        "recovery_code",
        "outside_identity",
        "access_token",
        "user_preference",
        "invitation",
        "outbox_message",
        "webhook_endpoint",
        "webhook_event",
        "webhook_delivery",
        "audit_entry",
        "audit_unsealed",
        "audit_link",
        "audit_seal",
        "api_reply",
        "applied_config",
        "legacy_row",
        "job",
        "job_run",
        "log_day",
        "notice",
        "alert_choice",
        "alert_state",
        "async_job",
    }


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table._meta.tablename)
def test_every_column_is_explained_and_every_row_has_its_time(table):
    assert "created_at" in {column._meta.name for column in table._meta.columns}
    for column in table._meta.columns:
        assert column._meta.help_text or column._meta.name in OWN_MEANING, column._meta.name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table._meta.tablename)
def test_constraints_are_named_after_their_table(table):
    name = table._meta.tablename
    for constraint in table._meta.constraints:
        assert constraint._meta.name.startswith((f"ck_{name}_", f"uq_{name}_"))


def test_what_recognises_a_secret_is_secret():
    secret = {
        f"{table._meta.tablename}.{column._meta.name}" for table in TABLES for column in table._meta.secret_columns
    }
    assert secret == {
        "users.password",
        "api_key.digest",
        "portal_session.token_digest",
        "user_link.token_digest",
        "bonus_claim.mailbox_digest",
        "totp_factor.secret",
        "recovery_code.code_digest",
        "access_token.token_digest",
        "invitation.token_digest",
        "outbox_message.content",
        "webhook_endpoint.secret",
        "webhook_endpoint.old_secret",
        "async_job.fields",
        "service.callback_secret",
        "service.old_callback_secret",
    }
