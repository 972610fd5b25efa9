"""What is asked of httpbin: every endpoint that it has, by Flask's own list, and more of those that matter."""

from dataclasses import dataclass, field

PATHS: dict[str, tuple[str, ...]] = {
    "/": ("/",),
    "/absolute-redirect/<int:n>": ("/absolute-redirect/1", "/absolute-redirect/3"),
    "/anything": ("/anything", "/anything?a=1&a=2&b=%20x+y&c"),
    "/anything/<path:anything>": ("/anything/a/b%20c/d%C3%A4;e=1?q=%2F%26",),
    "/apidocs/index.html": ("/apidocs/index.html",),
    "/base64/<value>": ("/base64/SFRUUEJJTiBpcyBhd2Vzb21l",),
    "/basic-auth/<user>/<passwd>": ("/basic-auth/ann/secret",),
    "/bearer": ("/bearer",),
    "/brotli": ("/brotli",),
    "/bytes/<int:n>": ("/bytes/0?seed=1", "/bytes/1?seed=1", "/bytes/65536?seed=1"),
    "/cache": ("/cache",),
    "/cache/<int:value>": ("/cache/60",),
    "/cookies": ("/cookies",),
    "/cookies/delete": ("/cookies/delete?a=&b=",),
    "/cookies/set": ("/cookies/set?a=1&b=2&c=3",),
    "/cookies/set/<name>/<value>": ("/cookies/set/session/abc",),
    "/deflate": ("/deflate",),
    "/delay/<delay>": ("/delay/0.2",),
    "/delete": ("/delete",),
    "/deny": ("/deny",),
    "/digest-auth/<qop>/<user>/<passwd>": ("/digest-auth/auth/ann/secret",),
    "/digest-auth/<qop>/<user>/<passwd>/<algorithm>": ("/digest-auth/auth/ann/secret/SHA-256",),
    "/digest-auth/<qop>/<user>/<passwd>/<algorithm>/<stale_after>": ("/digest-auth/auth/ann/secret/MD5/never",),
    "/drip": ("/drip?duration=0.3&numbytes=30&delay=0", "/drip?duration=0&numbytes=5&code=500&delay=0"),
    "/encoding/utf8": ("/encoding/utf8",),
    "/etag/<etag>": ("/etag/abc",),
    "/flasgger_static/<path:filename>": ("/flasgger_static/swagger-ui.css", "/flasgger_static/missing.css"),
    "/forms/post": ("/forms/post",),
    "/get": ("/get?x=1",),
    "/gzip": ("/gzip",),
    "/headers": ("/headers",),
    "/hidden-basic-auth/<user>/<passwd>": ("/hidden-basic-auth/ann/secret",),
    "/html": ("/html",),
    "/image": ("/image",),
    "/image/jpeg": ("/image/jpeg",),
    "/image/png": ("/image/png",),
    "/image/svg": ("/image/svg",),
    "/image/webp": ("/image/webp",),
    "/ip": ("/ip",),
    "/json": ("/json",),
    "/legacy": ("/legacy",),
    "/links/<int:n>": ("/links/5",),
    "/links/<int:n>/<int:offset>": ("/links/5/2",),
    "/oauth2-redirect.html": ("/oauth2-redirect.html",),
    "/patch": ("/patch",),
    "/post": ("/post",),
    "/put": ("/put",),
    "/range/<int:numbytes>": ("/range/26", "/range/1024?duration=0&chunk_size=100"),
    "/redirect-to": ("/redirect-to?url=http%3A%2F%2Fexample.com%2Fx&status_code=307", "/redirect-to?url=relative"),
    "/redirect/<int:n>": ("/redirect/1", "/redirect/3", "/redirect/2?absolute=true"),
    "/relative-redirect/<int:n>": ("/relative-redirect/2",),
    "/response-headers": ("/response-headers?X-A=1&X-A=2&Server=mine&X-B=%20", "/response-headers?Content-Type=a%2Fb"),
    "/robots.txt": ("/robots.txt",),
    "/spec.json": ("/spec.json",),
    "/static/<path:filename>": ("/static/favicon.ico", "/static/missing"),
    "/status/<codes>": tuple(
        f"/status/{code}" for code in (200, 201, 204, 206, 301, 304, 400, 401, 402, 403, 404, 406, 418, 429, 500, 502, 503, 504)
    ),
    "/stream-bytes/<int:n>": ("/stream-bytes/5000?seed=1&chunk_size=100",),
    "/stream/<int:n>": ("/stream/0", "/stream/20"),
    "/user-agent": ("/user-agent",),
    "/uuid": ("/uuid",),
    "/xml": ("/xml",),
}  # fmt: skip
"""The calls that stand for each of httpbin's rules."""

NEVER_SERVED = {"TRACE"}
"""The gateway answers it with 405 for every route: it would show a client's own key to scripts (docs/errors)."""

BODY = b'{"name": "\xc3\xa4", "list": [1, 2]}'


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `lines` are header lines with their ends."""

    method: str
    path: str
    lines: str = ""
    body: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.lines.strip()} {len(self.body)}".strip()


MORE = (
    Call("GET", "/basic-auth/ann/secret", "Authorization: Basic YW5uOnNlY3JldA==\r\n"),
    Call("GET", "/hidden-basic-auth/ann/secret", "Authorization: Basic YW5uOndyb25n\r\n"),
    Call("GET", "/bearer", "Authorization: Bearer of-the-upstream\r\n"),
    Call("GET", "/cookies", 'Cookie: a=1; b="2 3"; c=\r\n'),
    Call("GET", "/cookies", "Cookie: a=1\r\nCookie: b=2\r\n"),
    Call("GET", "/etag/abc", 'If-None-Match: "abc"\r\n'),
    Call("GET", "/etag/abc", 'If-Match: "xyz"\r\n'),
    Call("GET", "/cache", "If-Modified-Since: Sat, 01 Jan 2022 00:00:00 GMT\r\n"),
    Call("GET", "/range/1024", "Range: bytes=0-99\r\n"),
    Call("GET", "/range/1024", "Range: bytes=-50\r\n"),
    Call("GET", "/range/1024", "Range: bytes=2000-\r\n"),
    Call("GET", "/image", "Accept: image/webp\r\n"),
    Call("GET", "/image", "Accept: text/plain\r\n"),
    Call("GET", "/gzip", "Accept-Encoding: gzip, deflate, br\r\n"),
    Call("GET", "/encoding/utf8", "Accept-Encoding: gzip\r\n"),
    Call("GET", "/headers", "X-Odd:   spaces inside  and after   \r\nX-Empty:\r\nX-Twice: 1\r\nX-Twice: 2\r\n"),
    Call("OPTIONS", "/get", "Origin: https://example.com\r\nAccess-Control-Request-Method: PUT\r\n"),
    Call("POST", "/post", "Content-Type: application/x-www-form-urlencoded\r\n", b"a=1&a=2&b=%20"),
    Call("POST", "/post", "Content-Type: multipart/form-data; boundary=xx\r\n",
         b'--xx\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhello\r\n--xx--\r\n'),
    Call("GET", "/no-such-endpoint"),
    Call("POST", "/get", "Content-Type: text/plain\r\n", b"not allowed here"),
)  # fmt: skip
"""Calls with conditions, credentials and bodies of their own."""


def calls(methods: dict[str, frozenset[str]]) -> list[Call]:
    """Every path with every method that its rule has (`methods` by rule), then MORE."""
    made = []
    for rule, paths in PATHS.items():
        for path in paths:
            for method in sorted(methods[rule] - NEVER_SERVED):
                body = BODY if method in {"POST", "PUT", "PATCH"} else b""
                made.append(Call(method, path, "Content-Type: application/json\r\n" if body else "", body))
    return [*made, *MORE]
