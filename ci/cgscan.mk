# For the Makefile of another project:
#
#   include path/to/cgscan/ci/cgscan.mk
#
#   make scan IMAGE=app:1.4                      what is in it, with the policy of cgscan.yaml
#   make scan IMAGE=app:1.4 CGSCAN_ARGS="--min-coverage 90"
#   make scan-report IMAGE=app:1.4               the same, and $(CGSCAN_REPORTS)/cgscan.{json,html,sarif,md}
#   make scan-locks CGSCAN_LOCKS="uv.lock"       which entries of lock files keep Chainguard's bytes out
#
# Set before the include, or on the command line:
CGSCAN ?= cgscan
# the command; of a checkout: path/to/cgscan/.venv/bin/cgscan, of the image: docker run --rm ... cgscan
CGSCAN_PREFIX ?=
# before the names of the targets, where the project has a target scan of its own: ci- makes it ci-scan
CGSCAN_ARGS ?=
CGSCAN_REPORTS ?= build/cgscan
CGSCAN_LOCKS ?= $(wildcard uv.lock poetry.lock pdm.lock Pipfile.lock pylock.toml requirements.txt)

# Without a goal make still makes the project's own first target, wherever the include stands.
CGSCAN_GOAL := $(.DEFAULT_GOAL)

# Indexes, policy and all else stand in cgscan.yaml or in CGSCAN_* of the environment, which are handed on.
# make's own exit status is 2 whether the policy does not hold (1) or the scan did not run to the end (2).
.PHONY: $(CGSCAN_PREFIX)scan $(CGSCAN_PREFIX)scan-report $(CGSCAN_PREFIX)scan-locks

$(CGSCAN_PREFIX)scan:
	@$(if $(IMAGE),,echo 'name the image: make $@ IMAGE=registry.example/app:1.4' >&2; exit 2)
	$(CGSCAN) scan $(CGSCAN_ARGS) -- '$(subst ','\'',$(IMAGE))'

$(CGSCAN_PREFIX)scan-report:
	@$(if $(IMAGE),,echo 'name the image: make $@ IMAGE=registry.example/app:1.4' >&2; exit 2)
	@mkdir -p '$(CGSCAN_REPORTS)'
	$(CGSCAN) scan $(CGSCAN_ARGS) -o table -o json='$(CGSCAN_REPORTS)/cgscan.json' \
		-o html='$(CGSCAN_REPORTS)/cgscan.html' -o sarif='$(CGSCAN_REPORTS)/cgscan.sarif' \
		-o markdown='$(CGSCAN_REPORTS)/cgscan.md' -- '$(subst ','\'',$(IMAGE))'

$(CGSCAN_PREFIX)scan-locks:
	@$(if $(CGSCAN_LOCKS),,echo 'no lock file here: make $@ CGSCAN_LOCKS=path' >&2; exit 2)
	$(CGSCAN) plan --check $(CGSCAN_ARGS) $(CGSCAN_LOCKS:%=--lock='%')

.DEFAULT_GOAL := $(CGSCAN_GOAL)
