# SPDX-License-Identifier: ISC
#
# Builds everything out of tree under $(BUILD). Nothing here is a list of files: a new test, component or library is
# found by where it stands. mk/host.mk makes what runs on the build machine (unit tests, fuzzers), mk/target.mk the
# kernel and the components. A machine without compiler or Python is served too: the targets run and test install
# what is missing (tools/bootstrap) before they call make again.

BUILD ?= build
SCENARIO ?= linux
ifeq ($(origin CC),default)
CC := gcc
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
# $(call say,WHAT,NAME): the one line that a build step prints; QUIET=1: none.
QUIET ?= 0
say = @$(if $(filter 1,$(QUIET)),:,printf '  %-5s %s\n' '$(1)' '$(2)')

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wimplicit-fallthrough -Werror

# $(call sources,DIRS,SUFFIX): all files below those of DIRS that exist; $(call no_tests,FILES) drops tests and fuzzers.
sources = $(sort $(foreach d,$(patsubst %/,%,$(wildcard $(1))),$(shell find $(d) -type f -name '*.$(2)')))
no_tests = $(filter-out %_test.c %_fuzz.c,$(1))

include mk/host.mk
include mk/target.mk

# What one boot needs: tools/run names the programs in PROGRAMS. Those that there are no sources for are left to it.
scenario: kernel check $(filter $(PROGRAMS:%=$(TARGET)/%),$(COMPONENTS) $(GUESTS))

.PHONY: all scenario run test test-host test-slow test-night bench iso guest tcb format check-format clean help

all: kernel components check

guest:
	$(Q)tools/bootstrap
	$(Q)tools/guest --build $(BUILD)

run:
	$(Q)BUILD=$(BUILD) CC=$(CC) tools/run $(SCENARIO) $(ARGS)

test:
	$(Q)tools/bootstrap test iso disk bochs
	$(Q)BUILD=$(BUILD) CC=$(CC) /usr/bin/python3 tools/test.py

test-host:
	$(Q)tools/bootstrap test
	$(Q)BUILD=$(BUILD) CC=$(CC) HOST_DIRS='$(HOST_DIRS)' /usr/bin/python3 tools/test.py --host

test-slow:
	$(Q)tools/bootstrap test iso disk bochs
	$(Q)BUILD=$(BUILD) CC=$(CC) /usr/bin/python3 tools/test.py --slow

test-night:
	$(Q)tools/bootstrap test iso disk bochs
	$(Q)BUILD=$(BUILD) CC=$(CC) /usr/bin/python3 tools/test.py --night

bench:
	$(Q)tools/bootstrap test iso disk bochs
	$(Q)BUILD=$(BUILD) CC=$(CC) /usr/bin/python3 tools/bench.py

iso:
	$(Q)tools/bootstrap iso
	$(Q)BUILD=$(BUILD) CC=$(CC) tools/iso $(SCENARIO)

tcb:
	$(Q)tools/bootstrap test
	$(Q)/usr/bin/python3 tools/tcb

FORMATTED := abi kernel base core init lib drivers servers examples vmm tests tools

format:
	$(Q)clang-format -i $(call sources,$(FORMATTED),c) $(call sources,$(FORMATTED),h)

check-format:
	$(Q)clang-format --dry-run --Werror $(call sources,$(FORMATTED),c) $(call sources,$(FORMATTED),h)

clean:
	$(Q)rm -rf $(BUILD)

help:
	@echo 'make [all]      kernel and components, into $(BUILD)/'
	@echo 'make run        build, fetch the guest, boot scenarios/$(SCENARIO).xml in QEMU and connect to the guest (Ctrl-] quits)'
	@echo 'make check      $(BUILD)/host/check, by which tools/check looks at a scenario before it boots'
	@echo 'make test       host unit tests and booted scenarios; installs missing Debian packages first'
	@echo 'make test-host  the unit tests only; HOST_DIRS="lib/xml ..." builds and tests no more than those'
	@echo 'make test-slow  the tests that take long, an hour; tools/test.py --slow PATTERN for some'
	@echo 'make test-night the longest soaks and all mutants, some hours; tools/test.py --night PATTERN for some'
	@echo 'make fuzz       build the fuzzers and run each for FUZZ_TIME seconds (tools/bootstrap all)'
	@echo 'make bench      path lengths, exits and ratios against their limits: doc/figures.md'
	@echo 'make guest      the Linux guest of the tests: $(BUILD)/guest/vmlinuz and initrd'
	@echo 'make iso        $(BUILD)/donjon-$(SCENARIO).iso, bootable by BIOS and UEFI'
	@echo 'make tcb        code lines that a VM has to trust'
	@echo 'make format     clang-format in place; make check-format: what it would change'
	@echo 'make clean      remove $(BUILD)'
	@echo 'Variables: BUILD=build CC=gcc|clang SCENARIO=linux ARGS="arguments for tools/run" V=1'
