# SPDX-License-Identifier: BSD-3-Clause
# The real servers of the demo: nsd, nginx and the origin, as Debian ships them.
# Sourced after topology.sh; WORK is a directory for configs, logs, captures.

QUERY_NAMES=200  # host-0 ... host-199 of the zone

servers_prepare() {
  mkdir -p "$WORK/www"
  chmod 755 "$WORK" "$WORK/www"
  echo "served by node1" >"$WORK/www/index.html"
  head -c 65536 /dev/zero | tr '\0' 'x' >"$WORK/www/page"
  write_zone
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj /CN=www.example.com -addext subjectAltName=DNS:www.example.com \
    -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
}

write_zone() {
  local i
  {
    echo '$ORIGIN example.com.'
    echo '@ 300 IN SOA ns1 hostmaster 1 3600 600 86400 300'
    echo '@ 300 IN NS ns1'
    echo "ns1 300 IN A $DNS4"
    echo "ns1 300 IN AAAA $DNS6"
    for ((i = 0; i < QUERY_NAMES; ++i)); do echo "host-$i 300 IN A 203.0.113.$((i % 254 + 1))"; done
  } >"$WORK/example.com.zone"
  for ((i = 0; i < QUERY_NAMES; ++i)); do echo "host-$i.example.com A"; done >"$WORK/queries"
}

# start_nsd NAME: in the namespace NAME, which it also tells as its identity.
start_nsd() {
  cat >"$WORK/nsd-$1.conf" <<CONF
server:
  ip-address: $DNS4
  ip-address: $DNS6
  identity: "$1"
  server-count: 1
  username: ""
  zonesdir: "$WORK"
  pidfile: "$WORK/nsd-$1.pid"
  xfrdfile: "$WORK/nsd-$1.xfrd"
  zonelistfile: "$WORK/nsd-$1.zones"
  xfrdir: "$WORK"
  database: ""
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: example.com.zone
CONF
  start "$WORK/nsd-$1.log" nsenter --net="/run/netns/$(ns "$1")" nsd -d -c "$WORK/nsd-$1.conf"
}

# start_nginx NAME: the server blocks come on stdin.
start_nginx() {
  {
    cat <<CONF
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 8192;
pid $WORK/nginx-$1.pid;
error_log $WORK/nginx-$1.error;
events { worker_connections 4096; }
http {
  access_log $WORK/nginx-$1.access;
  client_body_temp_path $WORK/tmp-$1;
  proxy_temp_path $WORK/tmp-$1;
  fastcgi_temp_path $WORK/tmp-$1;
  uwsgi_temp_path $WORK/tmp-$1;
  scgi_temp_path $WORK/tmp-$1;
  ssl_certificate $WORK/cert.pem;
  ssl_certificate_key $WORK/key.pem;
CONF
    cat
    echo "}"
  } >"$WORK/nginx-$1.conf"
  start "$WORK/nginx-$1.log" nsenter --net="/run/netns/$(ns "$1")" \
    nginx -e "$WORK/nginx-$1.error" -c "$WORK/nginx-$1.conf"
}

# The web service; 8080 too, which no service names until step 3 adds one.
start_web() {
  start_nginx web0 <<CONF
  server {
    listen $WEB4:80; listen [$WEB6]:80;
    listen $WEB4:443 ssl; listen [$WEB6]:443 ssl;
    listen $WEB4:8080; listen [$WEB6]:8080;
    root $WORK/www;
  }
CONF
}

# The origin of the crawls. The rate makes a page last two seconds, so that
# crawls started together are open together.
start_origin() {
  start_nginx origin <<CONF
  server {
    listen $ORIGIN4:80; listen [$ORIGIN6]:80;
    root $WORK/www;
    location = /page { limit_rate 32k; }
  }
CONF
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local tenths=$(($1 * 10)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    tenths=$((tenths - 1))
    [ "$tenths" -gt 0 ] || die "$what: not there in time"
    sleep 0.1
  done
}

# listens NAME L4PORT: a TCP server does, in that namespace.
listens() { in_ns "$1" ss -Hltn "sport = :$2" | grep -q LISTEN; }

start_local_servers() {
  start_nsd dns0
  start_nsd dns1
  start_web
  wait_for 10 "nsd in dns0" listens dns0 53
  wait_for 10 "nsd in dns1" listens dns1 53
  wait_for 10 "nginx in web0" listens web0 443
}
