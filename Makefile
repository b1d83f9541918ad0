# Thin on purpose: what a target does is in tools/, where it can be read and run without make.
# Paths are relative, so that a checkout may lie in a directory with a blank in its name.

LUA       ?= 5.4
JOBS      ?= 2
WERROR    ?= -Werror
CFLAGS    ?= -O2 -g

# LuaJIT and nginx load the 5.1 flavour. VARIANT (asan, tsan) keeps instrumented builds apart.
VERSION   := $(patsubst luajit,5.1,$(LUA))
VERSIONS  := 5.1 5.2 5.3 5.4
DIR       := build$(VARIANT:%=/%)/$(VERSION)

SOURCES   := $(wildcard src/*.c)
OBJECTS   := $(SOURCES:src/%.c=$(DIR)/obj/%.o)

INSTRUMENT_asan := -fsanitize=address,undefined -fno-omit-frame-pointer
INSTRUMENT_tsan := -fsanitize=thread
INSTRUMENT      := $(INSTRUMENT_$(VARIANT))

ALL_CFLAGS = -std=c11 -fPIC -fvisibility=hidden -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L \
             -Wall -Wextra -Wshadow -Wconversion $(WERROR) $(CFLAGS) $(INSTRUMENT)
LIBS       = $(shell pkg-config --libs libcurl 2>/dev/null || echo -lcurl) -lpthread -ldl -lm
SHARED     = -shared
ifeq ($(shell uname),Darwin)
SHARED     = -bundle -undefined dynamic_lookup
endif

# A make that was given -j shares out its own jobs.
PARALLEL   = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

# Where clang-format has a say; tools/lint asks it the same.
LAID_OUT   = src bench examples examples/embed fuzz simulate oom

export CC

.PHONY: help deps build modules static embed demo test kills simulate lint format docs asan tsan valgrind oom fuzz bench clean
.DELETE_ON_ERROR:
.SUFFIXES:

help:
	@sed -n 's/^## //p' Makefile

## make deps       install what is missing (apt-get on Debian and Ubuntu; elsewhere says what to install)
deps:
	@sh tools/deps

## make build      build/<version>/cloudpartner.so; LUA=5.1, 5.2, 5.3, 5.4 (the default) or luajit
build: $(DIR)/cloudpartner.so

# Whoever runs the old one keeps it: a module that is written over crashes them.
$(DIR)/cloudpartner.so: $(OBJECTS)
	$(CC) $(SHARED) $(INSTRUMENT) $(LDFLAGS) -o $@.new $(OBJECTS) $(LIBS)
	@mv $@.new $@

## make static     build/<version>/libcloudpartner.a, of which only luaopen_cloudpartner is to be seen
static: $(DIR)/libcloudpartner.a

# What the objects share with each other has no business with the host's names.
$(DIR)/libcloudpartner.a: $(OBJECTS)
	$(CC) -r -nostdlib -o $(DIR)/cloudpartner.o $(OBJECTS)
	objcopy --localize-hidden $(DIR)/cloudpartner.o
	rm -f $@
	ar rcs $@ $(DIR)/cloudpartner.o

## make embed      build/embed/host: a C host with the static library in it (examples/embed)
embed: deps
	@$(MAKE) --no-print-directory -s $(PARALLEL) static LUA=5.4
	@sh tools/embed $(DIR)/libcloudpartner.a build$(VARIANT:%=/%)/embed/host $(INSTRUMENT)

# Every flag is in one file: short lines to read, and objects are remade when a flag changes.
$(DIR)/obj/%.o: src/%.c $(DIR)/flags
	@mkdir -p $(@D)
	$(CC) @$(DIR)/flags -MMD -MP -c -o $@ $<

$(DIR)/flags: Makefile tools/flags
	@mkdir -p $(@D)
	@sh tools/flags $(VERSION) $(ALL_CFLAGS) > $@

-include $(OBJECTS:.o=.d)

## make modules    the same for all four versions
modules: $(VERSIONS:%=module-%)

module-%:
	@$(MAKE) --no-print-directory build LUA=$* VARIANT=

## make demo       an offer goes live on the emulator, here and now
demo: deps
	@$(MAKE) --no-print-directory -s $(PARALLEL) build LUA=5.4
	@sh tools/with-emulator --speed 60 -- sh tools/with-module lua5.4 examples/golive.lua

## make test       the specs under Lua 5.4 and LuaJIT, a go live under 5.1, 5.2 and 5.3
##                 (LUAS="5.4 luajit" SPECS=spec/url_spec.lua JOBS=2 narrow it down)
test: deps
	@$(MAKE) --no-print-directory -s $(PARALLEL) modules
	@$(MAKE) --no-print-directory -s embed
	@JOBS=$(JOBS) sh tools/test $(if $(LUAS),--luas "$(LUAS)") $(SPECS)

## make kills      300 go-lives and 200 releases killed with SIGKILL under Lua 5.4 and LuaJIT each, and gone on with
##                 (N=1000, RELEASES=500, LUAS="5.4 luajit")
kills: KILLED_LUAS = $(patsubst 5.%,lua5.%,$(or $(LUAS),5.4 luajit))
kills: deps
	@$(MAKE) --no-print-directory -s $(PARALLEL) modules
	@JOBS=$(JOBS) sh tools/kills killed $(or $(N),300) $(KILLED_LUAS)
	@JOBS=$(JOBS) sh tools/kills release_killed $(or $(RELEASES),200) $(KILLED_LUAS)

## make simulate   100,000 go-lives against a simulated service (N=1000000 for more, SEED=7 for that one's trace)
simulate: deps
	@sh tools/simulate build/simulate/simulate
	@build/simulate/simulate $(if $(SEED),-s $(SEED),-n $(or $(N),100000))

## make lint       luacheck, clang-format, clang-tidy, and the rules of this house
lint: deps
	@$(MAKE) --no-print-directory -s build/5.4/flags LUA=5.4 VARIANT=
	@JOBS=$(JOBS) sh tools/lint

## make format     lay out the C sources as clang-format has it
format:
	@clang-format -i $(wildcard $(LAID_OUT:%=%/*.[ch]))

## make docs       docs/faults.md, from the tables of spec/faults
docs:
	@lua5.4 tools/faults.lua >docs/faults.md

# ThreadSanitizer loses sight of a mutex under LuaJIT: it has both threads hold it at once.
LEFT_OUT_tsan := spec/resty_spec.lua spec/resty_keep_spec.lua

## make asan       the specs with address and undefined behaviour sanitizers (also: tsan, valgrind)
asan tsan valgrind: deps
	@$(MAKE) --no-print-directory -s $(PARALLEL) modules
	@$(MAKE) --no-print-directory -s $(PARALLEL) build LUA=5.4 VARIANT=$@ CC=gcc
	@$(MAKE) --no-print-directory -s $(PARALLEL) build LUA=5.1 VARIANT=$@ CC=gcc
	@$(MAKE) --no-print-directory -s embed VARIANT=$@ CC=gcc
	@JOBS=$(JOBS) sh tools/instrumented $@ sh tools/test --luas 5.4 \
	  $(or $(SPECS),$(filter-out spec/package_spec.lua $(LEFT_OUT_$@),$(wildcard spec/*_spec.lua)))

## make oom        fails every allocation in turn, Lua's and the module's (STEP=7: every seventh)
oom: deps
	@CC=gcc sh tools/oom $(STEP)

## make fuzz       libFuzzer on what reads the service's text: SECONDS=5 of each, or RUNS=10000000
##                 (TARGETS="url words" some of them, COVERAGE=1 the lines that the corpora reach)
fuzz: deps
	@sh tools/fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RUNS),--runs $(RUNS)) \
	  $(if $(COVERAGE),--coverage) $(TARGETS)

## make bench      how fast it is
bench: deps
	@$(MAKE) --no-print-directory -s $(PARALLEL) build LUA=5.4
	@bench/run

## make clean      remove what was built
clean:
	rm -rf build
