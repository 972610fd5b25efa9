"""What the figures of /metrics mean, for those who read it. Added up over all workers of one gateway."""

TEXTS = {
    # counters
    "journal_records": "Requests written down in journals.",
    "journal_refused": "Requests refused with 503 because no journal had room to write them down.",
    "limit_decisions_redis": "Requests that waited for Redis because no permits were leased; the others spent leased ones.",
    "limit_decisions_local": "Requests decided by a local share of the limits while Redis was away.",
    "limit_refusals_shadow": "Requests that a shadow limit would have refused.",
    "credit_lease_calls": "Calls to the ledger to lease credits or to give them back, each for many organizations.",
    "credit_lease_recalls": "Times that others needed the credits of an organization that a worker held.",
    "credit_refusals": "Requests refused with 402 from a wallet.",
    "credit_undecided": "Requests refused with 503 because the ledger gave no answer and nothing was leased.",
    "log_rows_written": "Rows stored in request_log by this ingester since it started.",
    "log_rows_rejected": "Rows that PostgreSQL can never take; they are in rejected.jsonl. Should be 0.",
    "log_rows_cut": "Rows of requests whose worker died while it answered.",
    "journal_tears": "Places where a disk or a power cut damaged a journal. Should be 0.",
    "rollup_folds": "Times that stored rows were folded into the rollups.",
    "ingester_faults": "Transactions of the ingester that were given up and tried again.",
    # gauges
    "workers": "Workers that run.",
    "ingesters": "Ingesters that run; 1 when all is well, 0 where another gateway works on the same folder.",
    "keys_cached": "Verified keys in memory.",
    "listener_lost": "Workers that do not hear changes of keys and plans at once. Should be 0.",
    "redis_away": "Workers that cannot reach Redis. Should be 0.",
    "journal_full": "Workers that refuse requests because they have no room to write them down. Should be 0.",
    "journal_open": "Requests in progress.",
    "ledger_away": "Workers that cannot reach the ledger, or were given up by an operator. Should be 0.",
    "credit_leases": "Organizations of whose credits workers hold some, once for each worker.",
    "credit_leased_micro": "Micro-credits that workers hold unspent.",
    "credit_reservations_open": "Requests under way with a reservation.",
    "log_lag_seconds": "Age of the oldest answered request that is not stored. It grows while the ingester is silent.",
    "journal_bytes": "Disk that the journals of this node take.",
}
