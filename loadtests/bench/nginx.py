"""nginx as upstream, as plain proxy and as an API gateway: one worker, so that all three share one core."""

import shutil
from pathlib import Path

from loadtests.processes import Process

TEMPLATE = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log logs/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  keepalive_requests 1000000000;
  log_format gateway escape=json '{{"t":"$time_iso8601","key":"$client","m":"$request_method","p":"$request_uri","s":$status,\
"b":$bytes_sent,"d":$request_time,"u":"$upstream_response_time","ip":"$remote_addr","ua":"$http_user_agent"}}';
  map_hash_bucket_size 256;
  map $http_x_api_key $client {{ default ""; "{key}" "c1"; }}
  limit_req_zone $client zone=second:10m rate=1000000r/s;
  limit_req_zone $client zone=minute:10m rate=60000000r/m;
  upstream demo {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{upstream};
    location / {{ default_type application/json; return 200 '{answer}'; }}
  }}
  server {{
    listen 127.0.0.1:{proxy};
    location / {{ proxy_pass http://demo; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
  server {{
    listen 127.0.0.1:{gateway};
    access_log logs/gateway.log gateway buffer=64k flush=1s;
    location / {{
      if ($client = "") {{ return 401; }}
      limit_req zone=second burst=1000000 nodelay;
      limit_req zone=minute burst=1000000 nodelay;
      proxy_pass http://demo; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""

STREAMS = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log logs/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  upstream streams {{ server 127.0.0.1:{upstream}; keepalive 128; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://streams; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""

ANSWERING = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log logs/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{answer}'; }}
  }}
}}
"""

ANSWER = (
    '{"ok":true,"items":[1,2,3,4,5,6,7,8,9,10],"message":"an upstream answer of about two hundred bytes '
    + "." * 80
    + '"}'
)


def nginx_path() -> str | None:
    """The distribution's nginx, which is often not on an ordinary user's PATH."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/sbin")


def start_nginx(folder: Path, key: str, ports: tuple[int, int, int], core: int | None) -> Process:
    """Start it in `folder`; `ports` are upstream, plain proxy and gateway. Raises ProcessFailedError."""
    upstream, proxy, gateway = ports
    config = TEMPLATE.format(key=key, upstream=upstream, proxy=proxy, gateway=gateway, answer=ANSWER)
    return _start(folder, config, gateway, core)


def start_stream_proxy(folder: Path, port: int, upstream: int, core: int | None) -> Process:
    """A plain proxy that passes event streams on without buffering. Raises ProcessFailedError."""
    return _start(folder, STREAMS.format(upstream=upstream, port=port), port, core)


def start_answering(folder: Path, port: int, core: int | None) -> Process:
    """An upstream that answers every path with ANSWER. Raises ProcessFailedError."""
    return _start(folder, ANSWERING.format(port=port, answer=ANSWER), port, core)


def _start(folder: Path, config: str, port: int, core: int | None) -> Process:
    program = nginx_path()
    if program is None:
        raise FileNotFoundError("nginx")
    (folder / "logs").mkdir(parents=True)
    file = folder / "nginx.conf"
    file.write_text(config)
    argv = [program, "-p", str(folder), "-c", str(file), "-e", "logs/error.log"]
    return Process("nginx", argv, folder / "nginx.log", core=core).start(port)
