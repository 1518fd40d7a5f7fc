# make help lists the targets.
SHELL       := /bin/sh
.DEFAULT_GOAL := help
VERSION     ?= $(shell awk -F'"' '/^const Version/ {print $$2}' webhook/handoff/version.go)
REVISION    ?= $(shell git rev-parse HEAD 2>/dev/null)
IMAGE       ?= jupyter-user-webhook:$(VERSION)
PLATFORM    ?= linux/amd64
DIST        ?= dist/$(subst /,-,$(PLATFORM))
BUILDER     ?= $(shell awk -F= '/^ARG BUILDER=/ {print $$2}' Dockerfile)
KEEP        ?=
RUN         ?=
BENCH       ?=
QUICK       ?=
LONG        ?=
FUZZ        ?= ^Fuzz
FUZZTIME    ?= 60s
# The packages in which make fuzz looks for fuzz targets.
FUZZED      := ./webhook/... ./certs/... ./cmd/... ./test/property
# The tests of these packages run without the race detector, which would make them about five times slower. Goroutines that share memory
# have their tests in other packages.
SEQUENTIAL  := (/test/(property|golden|chart|docs|bench)|/homes)$$
# The race detector changes how much memory a program uses, so tests that measure memory are skipped with it. These packages have such
# tests, and run a second time without the race detector.
MEASURED    := ./webhook/server
# Go's race detector needs a C compiler. Without one, all tests run without the detector.
RACE         = $(shell command -v "$$(go env CC)" >/dev/null && echo -race)
# make release-check runs the integration tests with the API servers of these older Kubernetes releases. All other targets
# use the release of test/tools/kubernetes.
RELEASES    := 1.33 1.34 1.35 1.36
LDFLAGS     := -s -w -X main.version=$(VERSION)
# The first of these programs that is installed builds the image. All three read the Dockerfile.
CONTAINERS  ?= $(firstword $(foreach tool,docker podman buildah,$(if $(shell command -v $(tool)),$(tool))))
# The command that starts a node and leaves it running until Ctrl-C. The shell replaces itself with the test binary (exec), because a shell
# would end at Ctrl-C before the test has removed the node. The command does not use go test, which would report Ctrl-C as a failure.
KEEP-NODE    = go test -c -o bin/e2e.test ./test/e2e && cd test/e2e && \
	exec env E2E=1 KEEP=1 ../../bin/e2e.test -test.timeout 0 -test.parallel 8 -test.v -test.run '$(or $(RUN),^$$)'
# The arguments with which helm renders deploy/install.yaml from the chart.
RENDER       = template jupyter-user-webhook deploy/chart --namespace jupyter-user-system --set createNamespace=true

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: compiling build ## start a control plane on this machine and show how a labelled Pod becomes a notebook (KEEP=1 leaves it running, NODE=1 then starts JupyterLab on a real node, as root)
	@go build -o bin/demo ./test/demo
	@exec bin/demo -webhook bin/jupyter-user-webhook $(if $(KEEP),-keep)
	@$(if $(NODE),if [ "$$(id -u)" = 0 ]; then $(KEEP-NODE); else echo "NODE=1: only root can run a node" >&2; exit 1; fi)

.PHONY: compiling
compiling:
	@echo "compiling with $$(go env GOVERSION): minutes the first time, seconds afterwards"

.PHONY: test
test: compiling control-plane test-tools ## run the unit, golden, property and integration tests, and each fuzz target for a short time
	go test $(RACE) -timeout 60m -p 4 -parallel 4 $$(go list ./... | grep -vE '$(SEQUENTIAL)')
	go test -timeout 60m -p 4 -parallel 4 $$(go list ./... | grep -E '$(SEQUENTIAL)') $(MEASURED)
	@$(MAKE) --no-print-directory fuzz FUZZTIME=30000x

.PHONY: e2e
e2e: $(if $(KEEP)$(RUN)$(BENCH),e2e-node,e2e-node e2e-nfs e2e-images) ## run notebooks on a real node on this machine and on real NFS, as root (KEEP=1 only starts the node and leaves it running, RUN=TestCrowd runs one test, BENCH=1 measures)

.PHONY: e2e-node
e2e-node:
	@$(if $(KEEP),$(KEEP-NODE),E2E=1 go test -count=1 -timeout 60m -parallel 8 -v $(if $(RUN),-run '$(RUN)') \
		$(if $(BENCH),-run '^$$' -bench . -benchtime 5x) ./test/e2e)

.PHONY: e2e-nfs
e2e-nfs: ## run the part of make e2e that needs a real NFS server, as root: two further nodes in User Mode Linux (RUN=TestNotebooks runs one test)
	@E2E=1 go test -count=1 -timeout 30m -parallel 8 -v $(if $(RUN),-run '$(RUN)') ./test/e2e/nfs

.PHONY: e2e-images
e2e-images:
	@E2E=1 go test -count=1 ./test/e2e/images ./test/golden/kubespawner
	@E2E=1 go test -count=1 -v -run TestKeepNodeUntilInterrupt ./test/demo
	@E2E=1 go test -count=1 -v -run TestHubWithHundredUsers ./test/integration

.PHONY: e2e-packages
e2e-packages: ## install the Debian packages that make e2e needs, as root
	@test/e2e/install

.PHONY: kind
kind: ## install the webhook on a cluster of kind, with three homes, and print what to type; needs Docker, kind, kubectl and helm (no test runs Docker or kind)
	@test/kind/up

.PHONY: chaos
chaos: build control-plane ## test failures around the webhook and print a table of measurements (LONG=1 takes twenty minutes, RUN=TestBurst runs one test)
	@CHAOS=$(if $(LONG),long,short) go test -count=1 -timeout $(if $(LONG),3h,15m) -parallel 8 -v $(if $(RUN),-run '$(RUN)') ./test/chaos
	@$(if $(RUN),,CHAOS=short go test -count=1 -v -run '^TestRandomPodsWithSecondWebhook$$' ./test/property)

.PHONY: release-check
release-check: ## run the tests that take hours: older Kubernetes, Kyverno, chaos LONG=1, long fuzzing; and, as root, Active Directory, arm64, two minutes of load on a node, NFS
	@for release in $(RELEASES); do \
		echo "the integration tests with the API server of Kubernetes $$release" && \
		KUBERNETES=$$release go test -count=1 -timeout 30m -parallel 4 ./test/integration || exit 1; \
	done
	RELEASE_CHECK=1 go test -count=1 -timeout 60m -v ./test/kyverno
	RELEASE_CHECK=1 go test -count=1 -timeout 30m -v -run TestSambaActiveDirectory ./webhook/identity/ldap
	@if [ "$$(id -u)" = 0 ]; then \
		E2E=1 RELEASE_CHECK=1 go test -count=1 -timeout 60m -v -run TestOurImageForARM ./test/e2e/images && \
		E2E=1 LONG=1 go test -count=1 -timeout 60m -v -run TestOperationsUnderLoad ./test/e2e && \
		E2E=1 RELEASE_CHECK=1 go test -count=1 -timeout 90m -parallel 6 -v ./test/e2e/nfs; \
		else echo "skipped, because only root can run Samba, build images and run a node: Active Directory, the image for arm64, the load on a node, and NFS"; fi
	@for mod in kyverno $(RELEASES:%=kubernetes-%); do (cd "test/tools/$$mod" && go mod tidy -diff) || exit 1; done
	@$(MAKE) --no-print-directory chaos LONG=1
	@$(MAKE) --no-print-directory fuzz FUZZTIME=30m FUZZ='^Fuzz(Review|AgainstAdmissionWebhook|Pods|FromPod)'

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (60s)
	@rm -rf .fuzz && mkdir .fuzz
	@go test -list '$(FUZZ)' $(FUZZED) | awk '/^Fuzz/ {name[++n] = $$1} /^ok/ {for (i = 1; i <= n; i++) print name[i], $$2; n = 0}' | \
	xargs -P "$$(getconf _NPROCESSORS_ONLN)" -n 2 sh -c 'echo "fuzz $$0 of $${1#jupyter-user.io/jupyter-user-webhook/} for $(FUZZTIME)"; \
		go test -run "^\$$" -fuzz "^$$0\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x -parallel 1 -timeout 0 "$$1" >".fuzz/$$$$" 2>&1 || \
			{ cat ".fuzz/$$$$"; exit 255; }'
	@rm -rf .fuzz

.PHONY: bench
bench: RESULTS := $(if $(QUICK),dist/bench,test/bench/results)
bench: REVISION := $(shell git describe --always --dirty --exclude '*' 2>/dev/null)
bench: ## measure this and other admission webhooks: in process, over the wire, end to end, and as a cluster grows (QUICK=1 is short and imprecise, and writes into dist)
	@mkdir -p $(RESULTS)
	go test -run '^$$' -bench . -benchmem $(if $(QUICK),-benchtime 20x,-benchtime 200x -count 10) ./test/bench >$(RESULTS)/in-process.txt
	go run ./test/bench/run $(if $(QUICK),-quick) -out $(RESULTS) -revision "$(REVISION)"
	@cd test/bench/plot && go run . ../../../$(RESULTS)
	@$(if $(QUICK),,UPDATE_GOLDEN=1 go test ./test/docs)

.PHONY: golden
golden: ## write the golden files that need no API server; read the difference before you commit it
	UPDATE_GOLDEN=1 go test ./test/golden ./webhook/config ./webhook/handoff ./cmd/jupyter-user-webhook
	UPDATE_GOLDEN=1 go test -run 'TestPrometheusRule|TestHomesExample' ./test/monitoring ./test/chart
	UPDATE_GOLDEN=1 go test ./test/docs

.PHONY: render
render: ## render deploy/install.yaml from the chart
	@helm=$$(go run ./test/tools/build helm) && "$$helm" $(RENDER) >deploy/install.yaml

.PHONY: kubespawner
kubespawner: ## write the hubs' Pods among the golden inputs, with the real KubeSpawner; run make golden afterwards
	UPDATE_GOLDEN=1 E2E=1 go test -count=1 ./test/golden/kubespawner

.PHONY: verify
verify: ## check the format, go vet, the linter, go mod tidy, the chart, deploy/install.yaml, and the links of the documents
	@linter=$$(go run ./test/tools/build golangci-lint) && echo "golangci-lint fmt --diff" && "$$linter" fmt --diff && \
		echo "go vet ./..." && go vet ./... && echo "golangci-lint run" && "$$linter" run ./...
	@for mod in . $(filter-out test/tools/kyverno/ $(RELEASES:%=test/tools/kubernetes-%/),$(wildcard test/tools/*/) test/bench/plot/); do \
		if [ -f "$$mod/go.mod" ]; then echo "go mod tidy -diff in $$mod" && (cd "$$mod" && go mod tidy -diff) || exit 1; fi; \
	done
	go mod verify
	@helm=$$(go run ./test/tools/build helm) && echo "helm lint --strict deploy/chart" && "$$helm" lint --strict --quiet deploy/chart && \
		echo "helm $(RENDER)" && "$$helm" $(RENDER) | diff -u deploy/install.yaml - || { echo "deploy/install.yaml differs from the chart: run make render" >&2; exit 1; }
	go test -run 'Test(Links|Current)' ./test/docs
	GOOS=darwin go build -o /dev/null ./cmd/jupyter-user-webhook

.PHONY: build
build: ## build the commands into bin/
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: image
image: ## build the image for PLATFORM (linux/amd64, linux/arm64) and write its bills of materials (BUILDER=golang:…@sha256:… pins the base image)
	@[ -n "$(CONTAINERS)" ] || { echo "make image needs docker, podman or buildah, and none of them is in PATH" >&2; exit 1; }
	@$(CONTAINERS) info >/dev/null 2>&1 || { echo "make image: $(CONTAINERS) cannot build here: $(CONTAINERS) info says why" >&2; exit 1; }
	SOURCE_DATE_EPOCH=0 $(CONTAINERS) build --platform $(PLATFORM) $(if $(filter docker,$(CONTAINERS)),,--timestamp 0) -t $(IMAGE) \
		--build-arg BUILDER=$(BUILDER) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) .
	@$(MAKE) --no-print-directory sbom

.PHONY: sbom
sbom: ## build the programs for PLATFORM as the image has them, and write their bills of materials (CycloneDX), into DIST
	@mkdir -p $(DIST) && CGO_ENABLED=0 GOOS=$(word 1,$(subst /, ,$(PLATFORM))) GOARCH=$(word 2,$(subst /, ,$(PLATFORM))) \
		go build $(NAMES) -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION) -X main.commit=$(REVISION)' -o $(DIST)/ ./cmd/...
	@lister=$$(go run ./test/tools/build cyclonedx-gomod) && for program in jupyter-user-webhook jupyter-user-init; do \
		"$$lister" bin -json -std -noserial -notimestamp -version $(VERSION) -output $(DIST)/$$program.cdx.json $(DIST)/$$program && \
			echo $(DIST)/$$program.cdx.json || exit 1; \
	done

# The commit of a release. It ends with -dirty if there are uncommitted changes.
COMMIT       = $(shell git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null)
PLATFORMS   ?= linux/amd64 linux/arm64
RELEASE     ?= dist/release
# With NAMES=-v, go prints the name of each package that it compiles. COUNT-NAMES is an awk program that prints one line for each hundred
# names, in place of the names.
NAMES       ?=
COUNT-NAMES  = /^[A-Za-z0-9._/~+-]+$$/ {if (++names % 100 == 0) {print names " packages compiled"; fflush()} next} {print; fflush()}

.PHONY: release
release: ## build a release into dist/release: programs, image, chart, install.yaml, bills of materials, checksums
	@rm -rf $(RELEASE) && mkdir -p $(RELEASE)
	@for platform in $(PLATFORMS); do name=$$(echo "$$platform" | tr / -) && \
		$(MAKE) --no-print-directory sbom PLATFORM="$$platform" DIST="$(RELEASE)/$$name" REVISION="$(COMMIT)" && \
		for program in jupyter-user-webhook jupyter-user-init; do \
			mv "$(RELEASE)/$$name/$$program" "$(RELEASE)/$$program-$$name" && \
			mv "$(RELEASE)/$$name/$$program.cdx.json" "$(RELEASE)/$$program-$$name.cdx.json" || exit 1; \
		done && rmdir "$(RELEASE)/$$name" || exit 1; \
	done
	@go run $(NAMES) ./deploy/release -version "$(VERSION)" -revision "$(COMMIT)" -platforms "$(PLATFORMS)" -dist "$(RELEASE)" && cat $(RELEASE)/SHA256SUMS

.PHONY: release-again
release-again: ## build dist/release once more, from a fresh clone and without a build cache, and compare the bytes
	@again=$$(mktemp -d) && trap 'rm -rf "$$again"' EXIT && git clone --quiet . "$$again/clone" && \
		echo "compiling everything again, about 1,800 packages" && \
		GOCACHE="$$again/cache" $(MAKE) --no-print-directory -C "$$again/clone" release PLATFORMS="$(PLATFORMS)" NAMES=-v 2>&1 >/dev/null | \
			awk '$(COUNT-NAMES)' && \
		diff "$(RELEASE)/SHA256SUMS" "$$again/clone/dist/release/SHA256SUMS" && echo "both builds have the same bytes"

.PHONY: control-plane
control-plane: ## find, download or build etcd, kube-apiserver and kubectl, once (KUBEBUILDER_ASSETS names a folder, OFFLINE=1 builds)
	@go run ./test/tools/build control-plane >/dev/null

.PHONY: test-tools
test-tools: ## build the other programs that tests run (such as helm, cert-manager and promtool), once, before any test's timeout starts
	@go run ./test/tools/build helm certmanager promtool expressions cyclonedx-gomod setup-envtest >/dev/null

.PHONY: clean
clean: ## remove the build output; the cache of tools and images stays
	rm -rf bin dist .fuzz
