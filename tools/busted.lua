-- busted under the interpreter that runs this file (the `busted` command picks one of its own).

-- See tools/instrumented.
local forget_preload = os.getenv "FORGET_PRELOAD"
if forget_preload then assert(package.loadlib(forget_preload, "*")) end

require "busted.runner" { standalone = false }
