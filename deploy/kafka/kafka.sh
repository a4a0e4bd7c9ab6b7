#!/usr/bin/env bash
# A real Apache Kafka for the tests: one node, KRaft, on loopback. Needs Java 17 and Maven.
#
#   kafka.sh start    fetch (once), format (once), start, make the topics
#   kafka.sh stop     stop it in order
#   kafka.sh kill     kill -9, as a crash would
#   kafka.sh status   0 while it runs
#   kafka.sh wipe     stop it and remove its data
#
# Ports of 127.0.0.1: 9092 plain, 9094 SASL (PLAIN and SCRAM; user sensor, password sensor-secret; user nobody, password
# nobody-secret, has no rights), 9095 TLS. Everything it writes lies in KAFKA_DIR, by default .kafka in the checkout.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${KAFKA_DIR:-$here/../../.kafka}
mkdir -p "$dir" && dir=$(cd "$dir" && pwd)
pidfile=$dir/pid
cp="$dir/lib/*"

running() { [ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }
# A class of Kafka's tools, its log thrown away: errors come on standard error.
tool() { java -Xmx256m -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$cp" "$@"; }

fetch() {
  [ -f "$dir/lib/.complete" ] && return
  command -v java >/dev/null && command -v mvn >/dev/null || { echo "kafka.sh: needs java (17) and mvn" >&2; exit 1; }
  echo "kafka.sh: fetching the broker's artefacts" >&2
  (cd "$here" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$dir/lib" >&2)
  touch "$dir/lib/.complete"
}

certificates() {
  [ -f "$dir/ca.pem" ] && return
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=neuromast-test -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
  openssl pkcs12 -export -inkey "$dir/key.pem" -in "$dir/cert.pem" -name broker -passout pass:neuromast -out "$dir/broker.p12"
  cp "$dir/cert.pem" "$dir/ca.pem"
}

properties() {
  cat >"$dir/server.properties" <<EOF
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093,SASL_PLAINTEXT://127.0.0.1:9094,SSL://127.0.0.1:9095
advertised.listeners=PLAINTEXT://127.0.0.1:9092,SASL_PLAINTEXT://127.0.0.1:9094,SSL://127.0.0.1:9095
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:9093
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_sensor="sensor-secret" user_nobody="nobody-secret";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PKCS12
ssl.keystore.location=$dir/broker.p12
ssl.keystore.password=neuromast
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:sensor;User:CN=neuromast-test
log.dirs=$dir/data
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
EOF
}

start() {
  if running; then
    echo "kafka.sh: runs already, process $(cat "$pidfile")"
    return
  fi
  fetch
  certificates
  properties
  if [ ! -f "$dir/data/meta.properties" ]; then
    tool kafka.tools.StorageTool format --standalone -t "$(tool kafka.tools.StorageTool random-uuid)" -c "$dir/server.properties" \
      --add-scram 'SCRAM-SHA-256=[name=sensor,password=sensor-secret]' --add-scram 'SCRAM-SHA-512=[name=sensor,password=sensor-secret]' >"$dir/format.log" 2>&1 \
      || { cat "$dir/format.log" >&2; exit 1; }
  fi
  nohup java -Xmx512m -Xms128m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$cp" kafka.Kafka "$dir/server.properties" >>"$dir/broker.log" 2>&1 </dev/null &
  echo $! >"$pidfile"
  for _ in $(seq 1 120); do
    if ! running; then
      tail -20 "$dir/broker.log" >&2
      echo "kafka.sh: the broker ended; see $dir/broker.log" >&2
      exit 1
    fi
    if (exec 3<>/dev/tcp/127.0.0.1/9092) 2>/dev/null; then break; fi
    sleep 0.5
  done
  if [ ! -f "$dir/topics" ]; then
    for t in findings incidents health flows dns signals; do
      tool org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:9092 --create --if-not-exists --topic "neuromast.$t" --partitions 3 --replication-factor 1 2>/dev/null >&2
    done
    touch "$dir/topics"
  fi
  echo "kafka.sh: Apache Kafka answers at 127.0.0.1:9092, process $(cat "$pidfile")"
}

end() { # end SIGNAL
  running || { rm -f "$pidfile"; return 0; }
  local pid
  pid=$(cat "$pidfile")
  kill "-$1" "$pid" 2>/dev/null || true
  for _ in $(seq 1 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$pidfile"
}

case ${1:-} in
  start) start ;;
  stop) end TERM ;;
  kill) end KILL ;;
  status) running ;;
  wipe) end KILL; rm -rf "$dir/data" "$dir/topics" ;;
  *) sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
