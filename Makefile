# jupyter-user-webhook: make help lists what there is.
SHELL       := /bin/sh
.DEFAULT_GOAL := help
VERSION     ?= v0.1.0
KEEP        ?=
RUN         ?=
BENCH       ?=
FUZZTIME    ?= 60s
LDFLAGS     := -s -w -X main.version=$(VERSION)
# How deploy/install.yaml comes out of the chart, by the helm that it is given.
RENDER       = template jupyter-user-webhook deploy/chart --namespace jupyter-user-system --set createNamespace=true

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## run a control plane on this machine and see a labelled Pod become a notebook (KEEP=1 leaves it running)
	@go build -o bin/demo ./test/demo
	@exec bin/demo -webhook bin/jupyter-user-webhook $(if $(KEEP),-keep)

.PHONY: test
test: control-plane ## unit, golden, property and integration tests, and each fuzz target for a moment
	go test -parallel 4 ./...
	@$(MAKE) --no-print-directory fuzz FUZZTIME=30000x

.PHONY: race
race: control-plane ## the tests with Go's race detector, which needs a C compiler
	go test -race -parallel 4 ./webhook/... ./cmd/... ./certs/... ./test/...

.PHONY: e2e
e2e: ## notebooks on a real node on this machine, as root (KEEP=1 only leaves it up, RUN=TestCrowd runs one test, BENCH=1 measures)
	@E2E=1 KEEP=$(KEEP) go test -count=1 -timeout $(if $(KEEP),0,60m) -parallel 8 -v $(if $(RUN),-run '$(RUN)',$(if $(KEEP),-run '^$$')) \
		$(if $(BENCH),-run '^$$' -bench . -benchtime 5x) ./test/e2e
	@$(if $(KEEP)$(RUN)$(BENCH),,E2E=1 go test -count=1 ./test/e2e/images)

.PHONY: e2e-packages
e2e-packages: ## install what make e2e needs of Debian's packages, as root
	@test/e2e/install

.PHONY: release-check
release-check: ## hold what the webhook makes of Pods against the real Kyverno, which takes long to build, once
	RELEASE_CHECK=1 go test -count=1 -timeout 60m -v ./test/kyverno
	@cd test/tools/kyverno && go mod tidy -diff

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (60s)
	@go test -list '^Fuzz' ./... | awk '/^Fuzz/ {name[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print name[i], $$2; n = 0}' | \
	while read -r name package; do \
		echo "fuzz $$name of $${package#jupyter-user.io/jupyter-user-webhook/} for $(FUZZTIME)"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$package >.fuzz.log 2>&1 || { cat .fuzz.log; rm -f .fuzz.log; exit 1; }; \
	done
	@rm -f .fuzz.log

.PHONY: bench
bench: ## how fast the planner is
	go test -run '^$$' -bench . -benchmem ./test/bench

.PHONY: golden
golden: ## write all golden files anew; look at the difference before committing it
	UPDATE_GOLDEN=1 go test ./test/golden ./webhook/config ./cmd/jupyter-user-webhook
	UPDATE_GOLDEN=1 go test ./test/docs

.PHONY: render
render: ## write deploy/install.yaml anew, from the chart
	@helm=$$(go run ./test/tools/build helm) && "$$helm" $(RENDER) >deploy/install.yaml

.PHONY: verify
verify: ## format, vet, lint, tidy modules, the chart and what is rendered from it, and the links of the documents
	@linter=$$(go run ./test/tools/build golangci-lint) && echo "golangci-lint fmt --diff" && "$$linter" fmt --diff && \
		echo "go vet ./..." && go vet ./... && echo "golangci-lint run" && "$$linter" run ./...
	@for mod in . $(filter-out test/tools/kyverno/,$(wildcard test/tools/*/)); do \
		if [ -f "$$mod/go.mod" ]; then echo "go mod tidy -diff in $$mod" && (cd "$$mod" && go mod tidy -diff) || exit 1; fi; \
	done
	go mod verify
	@helm=$$(go run ./test/tools/build helm) && echo "helm lint --strict deploy/chart" && "$$helm" lint --strict --quiet deploy/chart && \
		echo "helm $(RENDER)" && "$$helm" $(RENDER) | diff -u deploy/install.yaml - || { echo "make render writes it anew" >&2; exit 1; }
	go test -run 'Test(Links|Current)' ./test/docs

.PHONY: build
build: ## build the commands into bin/
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: control-plane
control-plane: ## build etcd, kube-apiserver and kubectl once, into a cache (KUBEBUILDER_ASSETS is honoured)
	@go run ./test/tools/build control-plane >/dev/null

.PHONY: clean
clean: ## remove what was built here; the cache of tools and images stays
	rm -rf bin dist .fuzz.log
