-- busted output handler: failures in full, skipped tests by name, and at the end of the suite the
-- counts "passed failed skipped" in the file $REPORT. No file, no proof: the caller counts a failure.
-- Until then $REPORT.at holds the name of the test that runs, for the case that it is the last one.

local report = assert(os.getenv "REPORT")

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text, "\n")
  file:close()
end

local function indented(text) return "    " .. text:gsub("\n", "\n    ") end

local function text_of(message)
  if type(message) == "string" then return message end
  if message == nil then return "error without a message" end
  local mt = getmetatable(message)
  if type(message) ~= "table" or mt and mt.__tostring then return tostring(message) end
  return require "pl.pretty".write(message)
end

local function show_failure(failure)
  local trace = failure.trace or {}
  local where = failure.element.trace or trace
  print(("  FAILED %s (%s:%s)"):format(failure.name, where.short_src or "?", where.currentline or "?"))
  print(indented(text_of(failure.message)))
  if failure.isError and trace.traceback then print(indented(trace.traceback:gsub("^\n", ""))) end
end

local function show_skipped(pending)
  local why = type(pending.message) == "string" and ": " .. pending.message or ""
  print("  skipped " .. pending.name .. why)
end

return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base" ()

  local function begin(test)
    write(report .. ".at", handler.getFullName(test))
    return nil, true
  end

  local function finish()
    for _, failure in ipairs(handler.failures) do show_failure(failure) end
    for _, failure in ipairs(handler.errors) do show_failure(failure) end
    for _, pending in ipairs(handler.pendings) do show_skipped(pending) end
    io.stdout:flush()
    write(report, ("%d %d %d"):format(handler.successesCount,
      handler.failuresCount + handler.errorsCount, handler.pendingsCount))
    os.remove(report .. ".at")
    return nil, true
  end

  busted.subscribe({ "test", "start" }, begin)
  busted.subscribe({ "suite", "end" }, finish, { priority = 100 })
  return handler
end
