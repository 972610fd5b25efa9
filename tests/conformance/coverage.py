"""Which test holds which case of the research note (anchors-reliability-security.md, sections 2.2, 2.3, 2.6).

Case ids of the files by their beginnings; tests by the beginnings of their names. P20 needs HTTP/2, which is not offered;
U14, K6-K8 belong to providers, portal and admin.
"""

IDS: dict[str, tuple[str, ...]] = {
    "P1": ("ctl-", "clte-", "te-", "cl-", "ch-", "hd-", "ho-", "tg-", "me-", "ve-", "sz-", "pi-", "mi-"),
    "P2": ("te-", "cl-", "clte-"),
    "P3": ("clte-p3",),
    "P4": ("hp-connection-own", "hp-connection-own2", "hp-connection-list", "hp-connection-key"),
    "P5": (
        "hp-spoof-xff",
        "hp-spoof-pe",
        "hp-spoof-underscore",
        "hp-spoof-xfh",
        "hp-underscore-mixed",
        "hp-forwarded-quoted",
    ),
    "P6": ("hp-keep-alive", "hp-te", "hp-proxy-auth", "up-h2c"),
    "P7": ("tr-",),
    "P8": ("pa-", "tg-fragment", "tg-high-byte"),
    "P9": ("pa-dotdot", "pa-enc-dotdot", "pa-double-enc"),
    "P10": ("ke-query",),
    "P11": ("ho-unknown", "ho-trailing-dot", "ho-utf8", "ho-userinfo"),
    "P13": ("up-",),
    "P14": ("ex-bad-key", "ex-bogus"),
    "P15": ("cl-truncated", "cl-late-end", "ch-noend"),
    "P16": ("cl-get-body", "cl-head-body", "clte-get"),
    "P17": ("mi-range",),
    "P22": ("mi-cors-evil", "mi-options"),
    **{f"U{number}": (f"u{number}-",) for number in range(1, 14)},
    "K1": ("ke-none", "ke-unknown"),
    "K2": ("ke-dup-", "ke-both", "ke-list", "ke-empty-then-good", "ke-basic", "ke-bearer", "sz-key-1m"),
}

TESTS: dict[str, tuple[str, ...]] = {
    "P9": ("test_p9_",),
    "P10": ("test_p10_",),
    "P11": ("test_p11_",),
    "P12": ("test_p12_",),
    "P13": ("test_p13_",),
    "P14": ("test_p14_",),
    "P15": ("test_p15_",),
    "P16": ("test_p16_",),
    "P17": ("test_p17_",),
    "P18": ("test_p18_p19_",),
    "P19": ("test_p18_p19_",),
    "P21": ("test_p21_",),
    "P22": ("test_p22_",),
    **dict.fromkeys(("U1", "U2", "U3", "U9", "U10"), ("test_u_a_bad_head",)),
    **{f"U{number}": (f"test_u{number}_",) for number in (4, 5, 11, 12, 13)},
    **{f"K{number}": (f"test_k{number}_",) for number in (1, 2, 3, 4, 5, 9)},
}

_RANGES = {"P": [*range(1, 20), 21, 22], "U": [*range(1, 14)], "K": [1, 2, 3, 4, 5, 9]}
DUE = [f"{letter}{number}" for letter, numbers in _RANGES.items() for number in numbers]
