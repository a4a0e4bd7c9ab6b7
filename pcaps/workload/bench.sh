#!/usr/bin/env bash
# Measures the whole sensor on the enterprise workload, in turn with the peers that are installed, on one core.
#
#   bench.sh BINARY WORKDIR [ROUNDS]
#
# CPU is user + system time of the whole process; the ratio is ours over the peer's of the same round, and what is printed
# is the median over the rounds. Peers: ndpiReader (package libndpi-bin), suricata, softflowd.
set -euo pipefail
bin=$1 dir=$2 rounds=${3:-3} core=0
file=$dir/ent.pcap
[ -f "$file" ] || { echo "bench: no $file; \`make bench-ent\` makes it" >&2; exit 1; }
mkdir -p "$dir/result" "$dir/suricata"

cpu() { # cpu COMMAND…: seconds of CPU, and MB of memory where GNU time is installed
  if [ -x /usr/bin/time ]; then
    /usr/bin/time -o "$dir/time" -f '%U %S %M' taskset -c "$core" "$@" >/dev/null 2>&1 || true
    tail -1 "$dir/time" | awk '{printf "%.2f %d\n", $1 + $2, $3 / 1024}'
  else
    local TIMEFORMAT='%U %S'
    { time taskset -c "$core" "$@" >/dev/null 2>&1 || true; } 2>&1 | tail -1 | awk '{printf "%.2f 0\n", $1 + $2}'
  fi
}
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

declare -A peers=(
  [ndpiReader]="ndpiReader -i $file -q"
  [softflowd]="softflowd -r $file -d -n 127.0.0.1:19995 -m 12000000 -v 9"
  [suricata]="suricata -r $file -l $dir/suricata -k none -S /dev/null --runmode single --set flow.memcap=8gb --set flow.hash-size=1048576 --set stream.memcap=4gb --set stream.reassembly.memcap=6gb"
)
cat "$file" >/dev/null # into the page cache
packets=
for name in ndpiReader softflowd suricata; do
  command -v "$name" >/dev/null || { echo "$name is not installed: not measured"; continue; }
  : >"$dir/ours"; : >"$dir/theirs"; : >"$dir/ratio"
  for _ in $(seq "$rounds"); do
    read -r a mb < <(cpu "$bin" replay --quiet --workers 1 --out "$dir/result" "$file")
    # shellcheck disable=SC2086 # the peers' commands are words
    read -r b _ < <(cpu ${peers[$name]})
    echo "$a" >>"$dir/ours"; echo "$b" >>"$dir/theirs"
    awk -v a="$a" -v b="$b" 'BEGIN {printf "%.3f\n", a / (b > 0 ? b : 0.01)}' >>"$dir/ratio"
  done
  packets=$(sed -n 's/.*"read": \([0-9]*\).*/\1/p' "$dir/result/summary.json")
  awk -v n="$name" -v p="$packets" -v a="$(median <"$dir/ours")" -v b="$(median <"$dir/theirs")" -v r="$(median <"$dir/ratio")" -v mb="$mb" \
    'BEGIN {printf "neuromast %.2f us/packet (%d MB), %s %.2f us/packet, ratio %.2f\n", a / p * 1e6, mb, n, b / p * 1e6, r}'
done
if [ -z "$packets" ]; then # no peer at all
  read -r a mb < <(cpu "$bin" replay --quiet --workers 1 --out "$dir/result" "$file")
  packets=$(sed -n 's/.*"read": \([0-9]*\).*/\1/p' "$dir/result/summary.json")
  awk -v p="$packets" -v a="$a" -v mb="$mb" 'BEGIN {printf "neuromast %.2f us/packet (%d MB)\n", a / p * 1e6, mb}'
fi
