"""Our own bare pass-through: the same server, exchange and upstream pool without any policy or record.

Only `make bench` serves it: it is what the cost of the policies is measured against (B2). It forwards everything to
the first service of the catalog's configuration, `UPSTREAM_API_URL`.
"""
