"""What a person does with their account: second factor, forgotten password, other browsers, the end."""

import re
import time

import pyotp
import pytest

from tests.e2e.flows.customer import arrive
from tests.e2e.looks.site import NEEDS_CHROMIUM

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    NEEDS_CHROMIUM,
]


async def test_a_second_factor_is_asked_for_and_a_recovery_code_stands_in(customer):
    await customer.go("/account/security")
    await customer.press("Set up an authenticator")
    await customer.prove()
    if "/factor" not in customer.page.url:
        await customer.press("Set up an authenticator")
    secret = await customer.page.locator(".copyable code").first.inner_text()
    authenticator = pyotp.TOTP(secret.replace(" ", ""))
    await customer.fill(code=authenticator.now())
    await customer.press("Switch on")
    await customer.says("Keep these codes")
    codes = (await customer.page.locator(".copyable.block code").inner_text()).split("\n")
    assert len(codes) == 10

    await _leave_and_return(customer)
    await customer.fill(code=authenticator.at(time.time() + 30))
    await customer.press("Sign in")
    await customer.page.wait_for_url(f"{customer.root}*")
    await _leave_and_return(customer)
    await customer.fill(code=codes[0])
    await customer.press("Sign in")
    await customer.page.wait_for_url(f"{customer.root}*")

    await customer.go("/account/security")
    await customer.says("9 of 10")
    await customer.confirm("Switch off")
    await customer.prove()
    if await customer.page.get_by_text("Switch off").count():
        await customer.confirm("Switch off")
    await customer.says("The authenticator is switched off")


async def _leave_and_return(customer):
    await customer.sign_out()
    await customer.sign_in()
    await customer.says("six digits")


async def test_a_forgotten_password_is_set_anew_by_mail(customer):
    await customer.sign_out()
    await customer.go("/sign-in")
    await customer.press("Forgot your password?")
    await customer.fill(email=customer.email)
    await customer.press("Send the link")
    await customer.says("If there is an account for this address")
    link = await customer.mailed("Set a new password")
    await customer.page.goto(link)
    customer.password = "five other quiet words now"
    await customer.fill(password=customer.password)
    await customer.press("Set the password and sign in")
    await customer.says("Your new password is set")
    await customer.page.goto(link)
    await customer.says("used or is too old")
    await customer.go("")
    await customer.sign_out()
    await customer.sign_in()
    await customer.page.wait_for_url(f"{customer.root}*")


async def test_signing_out_all_others_ends_the_other_browser(customer, up, browser, scripted):
    other = await arrive(up, browser, scripted=scripted, name="other")
    other.email, other.password = customer.email, customer.password
    await other.sign_in()
    await other.page.wait_for_url("**/o/*")
    await customer.go("/account/sessions")
    await customer.confirm("Sign out all others")
    await customer.says("Every other browser is signed out")
    await other.page.reload()
    assert "/sign-in" in other.page.url
    await other.context.close()
    assert other.wrong == []


async def test_a_deleted_account_has_days_of_grace_and_can_be_kept_by_button_and_by_mail(stranger):
    await stranger.sign_up("Short Lived")
    await _delete(stranger)
    await stranger.says("Your account will be deleted")
    former = await stranger.mailed("Your account will be deleted")
    await stranger.go("")
    await stranger.press("Keep my account")
    await stranger.says("Your account stays")
    await stranger.page.goto(former)
    await stranger.says("used or is too old")
    await _delete(stranger)
    await stranger.page.goto(await stranger.mailed("Your account will be deleted", 2))
    await stranger.press("Keep it")
    await stranger.says("Your account stays")
    await _delete(stranger)
    await stranger.says("Until then everything works, and you can keep it")
    await stranger.sign_out()
    await stranger.sign_in()
    await stranger.says(re.compile("Your account will be deleted"))


async def _delete(person):
    await person.go("/account/deletion")
    if await person.page.get_by_role("link", name="Confirm that it is you").count():
        await person.press("Confirm that it is you")
        await person.prove()
    await person.confirm("Delete my account")
