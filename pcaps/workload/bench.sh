#!/usr/bin/env bash
# Measures the whole sensor on workloads, in turn with the peers that are installed, each pinned to the same core.
#
#   bench.sh BINARY WORKDIR
#
# Environment: WORKLOADS (ent real small churn dns), ROUNDS (3), PEERS (tcpdump softflowd nfpcapd argus ndpiReader suricata),
# REAL (directory of captures for `real`), CORE (1), LIMIT (40: seconds after which a peer is stopped), SIZE_ent and so on.
#
# CPU is user + system time of the whole process. In every round each peer runs next to the sensor; the ratio is ours over
# the peer's, and what is printed is the median over the rounds. A peer that was stopped is shown as "> x".
set -euo pipefail
bin=$1 dir=$2
workloads=${WORKLOADS:-ent real small churn dns} rounds=${ROUNDS:-3} core=${CORE:-1} limit=${LIMIT:-40}
peers=${PEERS:-tcpdump softflowd nfpcapd argus ndpiReader suricata}
declare -A size=([ent]=${SIZE_ent:-100000} [small]=${SIZE_small:-10000000} [churn]=${SIZE_churn:-5000000} [dns]=${SIZE_dns:-3000000} [real]=${REAL:-})
declare -A budget=([ent]=256MiB [real]=512MiB [small]=1GiB [churn]=3GiB [dns]=1GiB)
declare -A goal=([ent softflowd]=1.0 [real softflowd]=0.8 [small nfpcapd]=0.13 [churn nfpcapd]=0.45 [churn softflowd]=0.45 [dns softflowd]=0.4
  [ent ndpiReader]=0.24 [ent suricata]=0.09)
mkdir -p "$dir/result" "$dir/suricata" "$dir/nf"
command -v /usr/bin/time >/dev/null || { echo "bench: GNU time is needed (package time)" >&2; exit 1; }

peer() { # peer NAME FILE: the command that reads FILE
  case $1 in
    tcpdump) echo "tcpdump -n -r $2 -w /dev/null" ;;
    softflowd) echo "softflowd -r $2 -d -n 127.0.0.1:19995 -m 12000000 -v 9" ;;
    nfpcapd) echo "nfpcapd -r $2 -w $dir/nf" ;;
    argus) echo "argus -r $2 -w $dir/argus.out" ;;
    ndpiReader) echo "ndpiReader -i $2 -q" ;;
    suricata) echo "suricata -r $2 -l $dir/suricata -k none -S /dev/null --runmode single --set flow.memcap=8gb --set flow.hash-size=1048576 --set stream.memcap=4gb --set stream.reassembly.memcap=6gb" ;;
  esac
}
measure() { # measure COMMAND…: user and system seconds, MB, and 1 if it was stopped
  local stopped=0 code=0
  rm -rf "$dir/nf" "$dir/argus.out"; mkdir -p "$dir/nf"
  timeout -s KILL "$limit" /usr/bin/time -o "$dir/time" -f '%U %S %M' taskset -c "$core" "$@" >/dev/null 2>&1 || code=$?
  if [ "$code" = 137 ]; then stopped=1; echo "$limit 0 0" >"$dir/time"; pkill -KILL -x "$1" 2>/dev/null || true; fi
  tail -1 "$dir/time" | awk -v s="$stopped" '{printf "%s %s %d %d\n", $1, $2, $3 / 1024, s}'
}
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

printf '%-6s %10s | %-28s | %-11s %9s %6s | %6s %6s\n' workload packets 'neuromast us/pkt (user sys) MB' peer us/pkt MB ratio goal
for w in $workloads; do
  file=$dir/$w.pcap
  if [ ! -f "$file" ]; then
    if [ "$w" = real ] && [ -z "${size[real]}" ]; then echo "real: left out; set REAL to a directory of captures"; continue; fi
    go run ./pcaps/write -o "$dir" -workload "$w=${size[$w]}"
  fi
  cat "$file" >/dev/null # into the page cache
  ours=("$bin" replay --quiet --workers 1 --set "memory.budget=${budget[$w]}" --out "$dir/result" "$file")
  for name in $peers; do
    command -v "$name" >/dev/null || { echo "$w: $name is not installed, not measured"; continue; }
    : >"$dir/ratio"; : >"$dir/a"; : >"$dir/b"; stopped=0
    for _ in $(seq "$rounds"); do
      read -r u s mb _ < <(limit=600 measure "${ours[@]}")
      # shellcheck disable=SC2046 # a peer's command is words
      read -r pu ps pmb cut < <(measure $(peer "$name" "$file"))
      [ "$cut" = 0 ] || stopped=1
      awk -v u="$u" -v s="$s" '{print u + s, u, s}' <<<x >>"$dir/a"
      awk -v u="$pu" -v s="$ps" '{print u + s}' <<<x >>"$dir/b"
      awk -v a="$u" -v b="$s" -v c="$pu" -v d="$ps" '{printf "%.3f\n", (a + b) / (c + d > 0 ? c + d : 0.01)}' <<<x >>"$dir/ratio"
      [ "$stopped" = 0 ] || break # it would only be stopped again
    done
    packets=$(sed -n 's/.*"read": \([0-9]*\).*/\1/p' "$dir/result/summary.json" | head -1)
    sort -n "$dir/a" | awk -v w="$w" -v n="$packets" -v mb="$mb" -v name="$name" -v b="$(median <"$dir/b")" -v pmb="$pmb" -v r="$(median <"$dir/ratio")" \
      -v stopped="$stopped" -v goal="${goal[$w $name]:--}" '{v[NR] = $0} END {split(v[int((NR + 1) / 2)], t, " ")
        printf "%-6s %10d | %6.2f (%.2f %.2f) %5d MB      | %-11s %s%7.2f %6d | %s%5.2f %6s\n", w, n, t[1] / n * 1e6, t[2] / n * 1e6, t[3] / n * 1e6, mb, name,
          stopped ? "> " : "  ", b / n * 1e6, pmb, stopped ? "<" : " ", r, goal}'
  done
done
