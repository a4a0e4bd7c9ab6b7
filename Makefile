# Neuromast: what people and CI run. Every target needs only Go and make unless its line says more.
GO     ?= go
BIN    := bin/neuromast
OUT    := out
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
PACKAGES := ./...

export CGO_ENABLED ?= 0

.PHONY: build demo test check bench bench-peers fuzz golden docs score evaluate kafka kafka-stop test-kafka test-tshark clean help

help:            ## this list
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

build:           ## the static binary, bin/neuromast
	@mkdir -p bin
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN) ./sensor

demo: build      ## analyse a capture that the project makes itself and show the findings
	@mkdir -p $(OUT)
	$(GO) run ./pcaps/write -o $(OUT)/demo intrusion
	$(BIN) replay --quiet --out $(OUT)/demo/result $(OUT)/demo/intrusion.pcap
	$(BIN) replay $(OUT)/demo/intrusion.pcap

test:            ## the tests
	@test -n "$$NEUROMAST_KAFKA" || echo "not run here: the tests against a real Kafka (\`make test-kafka\`: Java 17, Maven, kcat)"
	$(GO) test $(PACKAGES)

check:           ## format, vet, tests with the race detector (needs a C compiler), generated references fresh
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	$(GO) vet $(PACKAGES)
	CGO_ENABLED=1 $(GO) test -race $(PACKAGES)

BENCHTIME ?= 1s
bench:           ## Go benchmarks of every stage: packets/s, ns, allocations
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -benchmem $(PACKAGES)

bench-peers: build ## the whole sensor on five workloads, in turn with the peers that are installed (as root it installs what Debian has)
	@mkdir -p $(OUT)/bench
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -z "$(NO_INSTALL)" ]; then \
	  for p in time tcpdump softflowd nfdump argus-server libndpi-bin; do \
	    dpkg -s $$p >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends $$p >/dev/null 2>&1 || echo "$$p can't be installed"; \
	  done; \
	  dpkg -s suricata >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends suricata/bookworm-backports libhtp2/bookworm-backports >/dev/null 2>&1 || echo "suricata can't be installed"; \
	fi
	pcaps/workload/bench.sh $(BIN) $(OUT)/bench

FUZZTIME ?= 60s
fuzz:            ## every fuzz target for FUZZTIME each (default 60s)
	@set -e; for p in $$($(GO) list $(PACKAGES)); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$p; \
	  done; \
	done

golden:          ## rewrite golden files and generated references; read the diff
	$(GO) test $(PACKAGES) -update

docs: golden     ## the same: generated references are golden files

score: build     ## score the sensor on the labelled captures, where there are any beside the project
	@if test -f ../shared/eval/score.py; then python3 ../shared/eval/score.py --sensor $(BIN) $(SCORE_FLAGS) || true; \
	else echo "score: no labelled captures beside this checkout (../shared/eval/score.py is not there); nothing scored"; fi

EVALUATE ?= -plays 4
evaluate:        ## simulated weeks of work with intrusions into all detectors: writes detectors/EVALUATION.md (two minutes of two cores; EVALUATE="-plays 4 -large" adds a site of 10,000; a small run is a test)
	@mkdir -p $(OUT)
	$(GO) run ./detectors/simulate/evaluate $(EVALUATE) > $(OUT)/evaluation.md
	cp $(OUT)/evaluation.md detectors/EVALUATION.md
	@cat detectors/EVALUATION.md

kafka:           ## start a real Apache Kafka on loopback (needs Java 17 and Maven)
	deploy/kafka/kafka.sh start

kafka-stop:      ## stop it
	deploy/kafka/kafka.sh stop

test-kafka:      ## the export tests against the real broker (needs Java 17, Maven, kcat)
	deploy/kafka/kafka.sh start
	NEUROMAST_KAFKA=127.0.0.1:9092 NEUROMAST_KAFKA_SH=$(CURDIR)/deploy/kafka/kafka.sh $(GO) test -p 1 -count=1 -v -run RealKafka ./export/kafka ./sensor; \
	  r=$$?; deploy/kafka/kafka.sh stop; exit $$r

test-tshark:     ## flows and what parsers read against tshark's reading of every capture under NEUROMAST_CAPTURES, else of our own (needs tshark)
	$(GO) run ./pcaps/write -o $(OUT)/tshark/ours
	NEUROMAST_CAPTURES=$${NEUROMAST_CAPTURES:-$(abspath $(OUT))/tshark} NEUROMAST_TSHARK=1 $(GO) test -count=1 -v -run Tshark ./sensor

clean:           ## remove what was built and written
	rm -rf bin $(OUT)
