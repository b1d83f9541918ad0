-- The reference, the types and the README against the code: what is there is documented, and
-- what is documented is there. All lists come from the sources or from real objects.

local cjson = require "cjson"
local cloudpartner = require "cloudpartner"
local emulator = require "spec.support.emulator"
local har = require "cloudpartner.har"

local version = _VERSION:match "%d+%.%d+"
local interpreter = rawget(_G, "jit") and "luajit" or "lua" .. version
local variant = os.getenv "VARIANT"
local modules = "build/" .. (variant and variant ~= "" and variant .. "/" or "") .. version

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function run(command)
  local pipe = assert(io.popen("(" .. command .. "\n) 2>&1; echo status $?"))
  local output, status = pipe:read "*a":match "^(.*)status (%d+)\n$"
  pipe:close()
  return tonumber(status), output
end

local function lines_of(command)
  local pipe, lines = assert(io.popen(command)), {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

-- Sets of names

-- What begins with two underscores is Lua's own: the name of a metatable, its events.
local function add_keys(set, object)
  for key in pairs(object) do
    if not key:find "^__" then set[key] = true end
  end
  return set
end

local function keys(...)
  local set = {}
  for _, object in ipairs { ... } do add_keys(set, object) end
  return set
end

local function captures(text, pattern)
  local set = {}
  for a, b in text:gmatch(pattern) do
    set[a] = true
    if type(b) == "string" then set[b] = true end
  end
  return set
end

local function names_only_in(a, b)
  local names = {}
  for name in pairs(a) do
    if not b[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, ", ")
end

local function assert_same_names(expected, found, where)
  assert(next(expected), "the code gives no names for " .. where .. ": mend this spec")
  assert(next(found), where .. " is not there")
  assert.equal("", names_only_in(expected, found), "missing in " .. where)
  assert.equal("", names_only_in(found, expected), "in " .. where .. ", but not in the code")
end

-- docs/reference.md: the tables of each section, by the first cell of their head

local function first_cell(line)
  return line:match "^|%s*(.-)%s*|"
end

local function read_tables(text)
  local tables, heading, open = {}, nil, nil
  for line in (text:gsub("```.-```", "")):gmatch "([^\n]*)\n" do
    local cell = first_cell(line)
    heading = line:match "^#+ (.*)" or heading
    tables[heading] = tables[heading] or {}
    if not cell then
      open = nil
    elseif not open then
      open = { head = cell, names = {} }
      table.insert(tables[heading], open)
    else
      for name in cell:gmatch "`([^`]+)`" do open.names[name] = line end
    end
  end
  return tables
end

local reference = read "docs/reference.md"
local sections = read_tables(reference)

-- All tables of that head in the section, or only the `place`-th of them.
local function documented(heading, head, place)
  local set, count = {}, 0
  for _, t in ipairs(sections[heading] or {}) do
    if t.head == head then count = count + 1 end
    if t.head == head and (not place or place == count) then
      for name, line in pairs(t.names) do set[name] = line end
    end
  end
  return set
end

-- types/cloudpartner.lua: the members of classes and the words of aliases

local function read_types(text)
  local found, current, class_of = {}, nil, {}
  local function add(name, member, line)
    found[name] = found[name] or {}
    if member then found[name][member] = line end
  end
  for line in text:gmatch "[^\n]+" do
    current = line:match "^%-%-%-@class ([%w_.]+)" or line:match "^%-%-%-@alias ([%w_.]+)" or current
    local member = line:match "^%-%-%-@field ([%w_]+)" or line:match '^%-%-%-| "([^"]+)"'
    if current then add(current, member, line) end
    local variable = line:match "^local (%w+) = {}"
    if variable then class_of[variable] = current end
    local owner, method = line:match "^function (%w+)[.:]([%w_]+)%("
    if owner then add(class_of[owner], method, line) end
  end
  return found
end

local types = read_types(read "types/cloudpartner.lua")

-- Says of the same names that both know them.
local function assert_documented(expected, heading, head, place, class)
  assert_same_names(expected, documented(heading, head, place),
    ("docs/reference.md, %s"):format(heading))
  assert_same_names(expected, types[class] or {}, "types/cloudpartner.lua, " .. class)
end

describe("the sources are documented:", function()
  -- {"name", TYPES, SCOPE | SCOPE, min, max},
  local function options_by_scope()
    local scopes = {}
    local text = read "src/lua_options.c"
    for name, list in text:gmatch '{%s*"([%l_]+)",[%u%s|]+,([%u_%s|]+),[^}]*}' do
      for scope in list:gmatch "CP_FOR_(%u+)" do
        scopes[scope] = scopes[scope] or {}
        scopes[scope][name] = true
      end
    end
    return scopes
  end

  local homes = {
    NEW = { "Options of a client", "cloudpartner.ClientOptions" },
    CALL = { "Options of every call", "cloudpartner.CallOptions" },
    SUBMIT = { "Options of a submission", "cloudpartner.SubmitOptions" },
    WAIT = { "Options of a wait", "cloudpartner.WaitOptions" },
    LIST = { "Options of a list", "cloudpartner.ListOptions" },
    RESUME = { "Options of resume", "cloudpartner.ResumeOptions" },
    GOLIVE = { "Options of cloudpartner.golive", "cloudpartner.GoliveOptions" },
    FOLLOW = { "Options of cloudpartner.status and wait", "cloudpartner.FollowOptions" },
    CREDENTIAL = { "Options of cloudpartner.credential", "cloudpartner.CredentialOptions" },
    IDENTITY = { "Options of an identity", "cloudpartner.Identity" },
    OFFERS = { "Options of offers", "cloudpartner.OffersOptions" },
    OFFER = { "Options of offer", "cloudpartner.OfferOptions" },
    PUT = { "Options of put_offer", "cloudpartner.PutOptions" },
    UPDATE = { "Options of update", "cloudpartner.UpdateOptions" },
    RELEASE = { "Options of release", "cloudpartner.ReleaseOptions" },
  }

  it("every option", function()
    local scopes, listed = options_by_scope(), 0
    for scope, names in pairs(scopes) do
      assert(homes[scope], "options of a new kind: CP_FOR_" .. scope)
      assert_documented(names, homes[scope][1], "option", nil, homes[scope][2])
    end
    assert.equal("", names_only_in(homes, scopes))
    for _ in read "src/lua_options.c":gmatch "CP_FOR_%u+[^;)]-}" do listed = listed + 1 end
    assert(listed >= 30, "the list of options was not understood")
  end)

  it("every error code", function()
    local codes = captures(read "src/error.h", 'X%([%u_]+,[%s\\]*"([%l_]+)"')
    assert_documented(codes, "Error codes", "code", nil, "cloudpartner.ErrorCode")
  end)

  local function words_of(list)
    local text = read "src/words.c":match(list .. "%[%]%s*=%s*(%b{})")
    return captures(text, '=%s*"([%l_]+)"')
  end

  it("every state", function()
    local states = words_of "names"
    assert_same_names(states, documented("A status", "state"), "docs/reference.md, states")
    assert_same_names(states, keys(types["cloudpartner.State"], types["cloudpartner.StepState"]),
      "types/cloudpartner.lua, states")
  end)

  it("every kind", function()
    assert_same_names(words_of "kinds", types["cloudpartner.Kind"], "types/cloudpartner.lua, Kind")
    for kind in pairs(words_of "kinds") do
      assert.truthy(documented("An operation", "field").kind:find('"' .. kind .. '"', 1, true))
    end
  end)

  it("every answer to whether it was sent", function()
    local words = captures(read "src/error.c":match "words%[%]%s*=%s*(%b{})", '"(%l+)"')
    assert_same_names(words, types["cloudpartner.Sent"], "types/cloudpartner.lua, Sent")
    assert_same_names(words, captures(documented("An error", "field").sent, '`"(%l+)"`'),
      "docs/reference.md, sent")
  end)

  it("every method that can be started", function()
    local starters = captures(read "src/lua_methods.c", '{%s*"([%l_]+)",%s*[%l_]*start_')
    assert_documented(starters, "Tasks and loops", "method", nil, "cloudpartner.Startable")
  end)

  it("every variable of the environment", function()
    local sources = {}
    for i, path in ipairs(lines_of "ls src/*.c") do sources[i] = read(path) end
    local text = table.concat(sources)
    local variables = keys(captures(text, '"(CLOUDPARTNER_[%u_]+)"'),
      captures(text, '"(AZURE_[%u_]+)"'), captures(text, '"(IDENTITY_[%u_]+)"'),
      captures(text, 'first_set%("([%w_]+)",%s*"([%w_]+)"%)'))
    assert_same_names(variables, documented("Conventions", "variable"),
      "docs/reference.md, variables")
  end)
end)

-- A client that gets these answers in turn, and notes what it was asked.
local function client_of(answers, options)
  local asked, clock = {}, 1522100760
  local given = {
    publisher = "contoso", token = "any", random = function() return 0 end,
    now = function() return clock end,
    sleep = function(seconds) clock = clock + seconds end,
    transport = function(request)
      asked[#asked + 1] = request
      return (table.unpack or unpack)(table.remove(answers, 1), 1, 3)
    end,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  return cloudpartner.new(given), asked
end

local HEADERS = { ["Retry-After"] = "5", ["x-ms-request-id"] = "an id" }

local function answer(status, body, headers)
  return { { status = status, headers = headers, body = body and cjson.encode(body) } }
end

local function accepted()
  local url = "/api/publishers/contoso/offers/o/operations/a"
  return answer(202, nil, { Location = url, ["Retry-After"] = "5" })
end

-- As rich as the service's: every field that it is known to have.
local function document(word)
  local message = { messageHtml = "<b>m</b>", level = "error", timestamp = "t" }
  return {
    status = word, error = { code = "E", message = "m" }, messages = { message },
    lastActionDateTime = "2018-03-26T21:46:00Z",
    steps = { {
      id = "displaycertify", stepName = "Certification", description = "d", status = "blocked",
      progressPercentage = 50, estimatedTimeFrame = "< 1 day", messages = { message },
    } },
  }
end

local EMPTY_LIST = { { status = 200, body = "[]" } }

local ENTRY = {
  id = "a", submissionType = "golive", submissionState = "running", slot = "production",
  changedTime = "2018-03-26T21:46:00Z",
}

describe("the objects are documented:", function()
  local function a_status()
    local client = client_of { answer(200, document "running", HEADERS) }
    return assert(client:offer_status "o")
  end

  it("the module", function()
    assert_documented(keys(cloudpartner), "The module", "name", nil, "cloudpartner")
  end)

  it("the client", function()
    local methods = keys(getmetatable(client_of {}).__index)
    assert_documented(methods, "The client", "method", nil, "cloudpartner.Client")
  end)

  it("the credential", function()
    local methods = keys(getmetatable(cloudpartner.credential "azure_cli").__index)
    assert_documented(methods, "Options of cloudpartner.credential", "method of a credential", nil,
      "cloudpartner.Credential")
  end)

  it("the task", function()
    local task = client_of({}):start("offer_status", "o")
    local methods = keys(getmetatable(task).__index)
    assert_documented(methods, "Tasks and loops", "method of a task", nil, "cloudpartner.Task")
  end)

  it("the operation", function()
    local client = client_of {
      EMPTY_LIST, accepted(), answer(200, { ENTRY }), accepted(), answer(200, { ENTRY }),
      answer(200, document "running"),
    }
    local submitted, cancel = assert(client:golive "o"), assert(client:cancel "o")
    local listed, one = assert(client:operations "o")[1], assert(client:operation("o", "a"))
    local fields, methods = keys(submitted, cancel, listed, one), {}
    add_keys(methods, getmetatable(submitted).__index)
    assert_same_names(fields, documented("An operation", "field"), "docs/reference.md, operation")
    assert_same_names(methods, documented("An operation", "method"),
      "docs/reference.md, an operation's methods")
    assert_same_names(keys(fields, methods), types["cloudpartner.Operation"],
      "types/cloudpartner.lua, cloudpartner.Operation")
  end)

  it("the intent", function()
    local intents = {}
    local function keep(intent) intents[#intents + 1] = intent end
    local client = client_of {
      EMPTY_LIST, accepted(), answer(200, { ENTRY }), accepted(),
    }
    assert(client:golive("o", { before_send = keep }))
    assert(client:cancel("o", { before_send = keep }))
    assert_documented(keys(intents[1], intents[2]), "An intent", "field", nil,
      "cloudpartner.Intent")
  end)

  it("the offer", function()
    local member = "microsoft-azure-corevm.legacyOfferId"
    local client = client_of { answer(200, { [member] = "x" }, { ETag = "e" }), { { status = 200 } } }
    local offer = assert(client:offer "o")
    local put = assert(client:put_offer("o", offer))
    local fields, methods = keys(offer, put, { document = true }), {}
    for _, name in ipairs(lines_of [[
        grep -h -o '{"[a-z_]*", offer_[a-z_]*}' src/lua_offer.c src/lua_images.c]]) do
      local method = name:match '"(.-)"'
      assert.equal("function", type(offer[method]))
      methods[method] = true
    end
    assert_same_names(fields, documented("An offer", "field"), "docs/reference.md, offer")
    assert_same_names(methods, documented("An offer", "method"), "docs/reference.md, offer's methods")
    assert_same_names(keys(fields, methods), types["cloudpartner.Offer"],
      "types/cloudpartner.lua, cloudpartner.Offer")
  end)

  it("the plan of a release, and its phases", function()
    local client = client_of {
      answer(200, document "running"), answer(200, { ENTRY }), answer(200, { a = 1 }), answer(404),
      answer(200, document "running"), EMPTY_LIST, answer(200, { a = 1 }), answer(200, { a = 2 }),
      answer(200, { a = 1 }),
    }
    local followed = assert(client:release("o", { dry_run = true }))
    local going = assert(client:release("o", { dry_run = true }))
    assert_documented(keys(followed, going), "A plan of a release", "field", nil,
      "cloudpartner.Plan")
    local steps = captures(read "src/release.c":match "step_to_live_name.-{(.-)}", '"(%l+)"')
    assert_same_names(steps, captures(documented("A plan of a release", "field").next, '`"(%l+)"`'),
      "docs/reference.md, next")
    assert_same_names(steps, types["cloudpartner.Next"], "types/cloudpartner.lua, Next")
    local phases = captures(read "src/release.c":match "phase_name.-names%[%] = {(.-)}", '"(%l+)"')
    phases.look = nil
    assert_same_names(phases, types["cloudpartner.Phase"], "types/cloudpartner.lua, Phase")
  end)

  it("the status", function()
    assert_documented(keys(a_status()), "A status", "field", nil, "cloudpartner.Status")
  end)

  it("the step", function()
    assert_documented(keys(a_status().steps[1]), "A step", "field", nil, "cloudpartner.Step")
  end)

  it("the message", function()
    local status = a_status()
    assert_documented(keys(status.messages[1], status.steps[1].messages[1]), "A message", "field",
      nil, "cloudpartner.Message")
  end)

  it("the error", function()
    local client = client_of({
      EMPTY_LIST, answer(429, { error = { code = "E", message = "m" } }, HEADERS),
      EMPTY_LIST, accepted(), answer(200, document "failed"),
    }, { retries = 0 })
    local _, refused = client:golive "o"
    local _, failed = assert(client:golive "o"):wait()
    local _, tokenless = cloudpartner.new {
      publisher = "contoso", credential = { tenant_id = "t", client_id = "c", client_secret = "s" },
      transport = function() return { status = 401, body = "" } end,
    }:offer_status "o"
    local _, released = client_of {
      answer(200, document "running"), answer(200, { ENTRY }), answer(200, { a = 1 }), answer(404),
      answer(200, document "failed"),
    }:release "o"
    assert.equal("throttled operation_failed credential operation_failed", refused.code .. " "
      .. failed.code .. " " .. tokenless.code .. " " .. released.code)
    assert_documented(keys(refused, failed, tokenless, released), "An error", "field", nil, "cloudpartner.Error")
  end)

  it("the event of a log", function()
    local fields, kinds, asked = {}, {}, 0
    local client = client_of({
      { nil, "reset", "network" }, answer(429, {}, HEADERS), answer(200, document "running", HEADERS),
      EMPTY_LIST, { nil, "reset", "network" }, answer(200, { ENTRY }),
      answer(200, document "notStarted"), answer(200, document "succeeded"),
    }, {
      token = function()
        asked = asked + 1
        if asked == 2 then return nil, "not now" end
        return "any", 8
      end,
      log = function(event)
        add_keys(fields, event)
        kinds[event.kind] = true
      end,
    })
    assert(client:offer_status "o")
    assert(assert(client:golive "o"):wait { on_blocked = "wait" })
    assert_documented(fields, "log", "field", nil, "cloudpartner.Event")
    local line = documented("log", "field").kind
    assert_same_names(kinds, captures(line, '`"(%l+)"`'), "docs/reference.md, kinds of events")
    assert_same_names(kinds, captures(types["cloudpartner.Event"].kind, '"(%l+)"'),
      "types/cloudpartner.lua, kinds of events")
  end)

  it("the transport and the observer", function()
    local exchanges = {}
    local client, asked = client_of { { nil, "no", "connect" }, EMPTY_LIST, accepted() }
    client:observe(function(exchange) exchanges[#exchanges + 1] = exchange end)
    assert(client:golive("o", { notification_emails = { "a@example.com" } }))
    assert_documented(keys(exchanges[1], exchanges[2]), "observe", "field", nil,
      "cloudpartner.Exchange")
    assert_documented(keys(asked[3]), "transport", "field", 1, "cloudpartner.Request")
    assert_documented(keys(exchanges[2].response), "transport", "field", 2,
      "cloudpartner.Response")
  end)

  it("the module of nginx, which only loads there", function()
    local functions = captures(read "lua/cloudpartner/resty.lua", "\nfunction resty%.([%l_]+)")
    assert_documented(functions, "cloudpartner.resty", "function", nil, "cloudpartner.resty")
  end)

  it("the modules of loops", function()
    for _, name in ipairs { "cloudpartner.cqueues", "cloudpartner.luv" } do
      assert_documented(keys((require(name))), name, "function", nil, name)
    end
    local transport = function() return { status = 200, body = "[]" } end
    local luv = require "cloudpartner.luv"
    local client = luv.new { publisher = "contoso", token = "any", transport = transport }
    local call = luv.start(client, "operations", "o", function() end)
    assert_documented(keys(getmetatable(call).__index), "cloudpartner.luv", "method of a call", nil,
      "cloudpartner.luv.Call")
    client:close()
  end)

  describe("cloudpartner.har:", function()
    it("the functions", function()
      assert_documented(keys(har), "cloudpartner.har", "function", nil, "cloudpartner.har")
    end)

    it("the recording and its entries", function()
      local recording = assert(har.parse [[{ "log": { "version": "1.2", "comment": "c",
        "entries": [ { "comment": "c", "startedDateTime": "2018-03-26T21:46:00Z", "time": 1,
          "request": { "method": "GET", "url": "http://localhost/" },
          "response": { "status": 200 } } ] } }]])
      local recordings, entries = keys(recording), keys(recording.entries[1])
      assert_documented(recordings, "cloudpartner.har", "field", 1, "cloudpartner.har.Recording")
      assert_documented(entries, "cloudpartner.har", "field", 2, "cloudpartner.har.Entry")
    end)

    it("the player", function()
      local player = assert(har.player "spec/fixtures/operation.har")
      assert_documented(keys(player, getmetatable(player).__index), "cloudpartner.har",
        "member of a player", nil, "cloudpartner.har.Player")
    end)

    it("the recorder", function()
      local recorder = har.record(client_of {}, "a comment")
      assert_documented(keys(recorder, getmetatable(recorder).__index), "cloudpartner.har",
        "member of a recorder", nil, "cloudpartner.har.Recorder")
    end)
  end)
end)

local pages = {
  "README.md", "docs/reference.md", "docs/testing.md", "docs/architecture.md", "docs/resuming.md",
  "docs/security.md", "docs/hosts.md", "docs/nginx.md", "docs/embedding.md",
  "docs/credentials.md", "docs/offers.md",
}

local function blocks(path, language)
  local list = {}
  for block in read(path):gmatch("\n```" .. language .. "\n(.-\n)```") do list[#list + 1] = block end
  return list
end

-- What a link to a heading of that page is called.
local function anchors(path)
  local set = {}
  for heading in ("\n" .. read(path)):gsub("```.-```", ""):gmatch "\n#+ ([^\n]*)" do
    set[heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")] = true
  end
  return set
end

describe("the pages", function()
  it("have lines of up to 100 columns", function()
    for _, path in ipairs(pages) do
      for line in read(path):gmatch "[^\n]+" do assert(#line <= 100, path .. ": " .. line) end
    end
  end)

  it("have a README of up to 120 lines", function()
    local _, count = read "README.md":gsub("\n", "")
    assert(count <= 120, count .. " lines")
  end)

  it("link to files and sections that are there", function()
    for _, path in ipairs(pages) do
      for target in read(path):gmatch "%]%(([^)]+)%)" do
        local file, anchor = target:match "^([^#]*)#?(.*)$"
        local base = path:match "^.*/" or ""
        if file ~= "" then assert(io.open(base .. file), path .. ": " .. target):close() end
        local there = file == "" and path or base .. file
        assert(anchor == "" or anchors(there)[anchor], path .. ": no section " .. target)
      end
    end
  end)

  it("hold Lua that compiles", function()
    local count = 0
    for _, path in ipairs(pages) do
      for _, block in ipairs(blocks(path, "lua")) do
        assert((loadstring or load)(block, "@" .. path))
        count = count + 1
      end
    end
    assert(count >= 5, "the pages have lost their examples")
  end)

  it("hold types that compile", function() assert(loadfile "types/cloudpartner.lua") end)
end)

describe("the examples", function()
  local running, scratch

  setup(function()
    running = emulator.start("--speed", "600")
    scratch = lines_of "mktemp -d"[1]
  end)

  teardown(function()
    if running then running.stop() end
    os.execute("rm -rf " .. scratch)
  end)

  before_each(function() emulator.post(running.address .. "/_emulator/reset") end)

  local function with_environment(command)
    return ("CLOUDPARTNER_ENDPOINT=%s CLOUDPARTNER_PUBLISHER=contoso CLOUDPARTNER_TOKEN=any "
      .. "sh tools/with-module %s %s"):format(running.address, interpreter, command)
  end

  local function succeeds(command)
    local status, output = run(command)
    assert.equal(0, status, output)
    return output
  end

  -- What stands in the README, but for the address, the Lua version and the file's place.
  local function replace(text, old, new)
    local start, stop = text:find(old, 1, true)
    assert(start, "the README has lost its " .. old)
    return text:sub(1, start - 1) .. new .. text:sub(stop + 1)
  end

  local function shell_block_with(text)
    for _, block in ipairs(blocks("README.md", "sh")) do
      if block:find(text, 1, true) then return block end
    end
    error("the README has lost its " .. text)
  end

  it("of the README works when it is pasted", function()
    local program = blocks("README.md", "lua")[1]
    local _, length = program:gsub("\n", "")
    assert(length <= 24, "it has " .. length .. " lines")
    write(scratch .. "/example.lua", program)
    local commands = shell_block_with "lua5.4 example.lua"
    commands = replace(commands, "http://127.0.0.1:8080", running.address)
    commands = replace(commands, "build/5.4", modules)
    commands = replace(commands, "lua5.4 example.lua", interpreter .. " " .. scratch .. "/example.lua")
    local output = succeeds("unset LUA_INIT LUA_PATH_5_4 LUA_CPATH_5_4\n" .. commands)
    assert.matches("^accepted\t%x+%-", output)
    assert.matches("100 %%\tsucceeded\nlive\tsucceeded\n$", output)
  end)

  it("of testing.md work", function()
    local programs = blocks("docs/testing.md", "lua")
    assert(#programs >= 3, "they are gone")
    for i, program in ipairs(programs) do
      local path = ("%s/testing%d.lua"):format(scratch, i)
      write(path, (program:gsub('"golive%.har"', ('"%s/golive.har"'):format(scratch))))
      succeeds(with_environment(path))
    end
    assert(har.read(scratch .. "/golive.har"))
  end)

  it("of hosts.md work", function()
    local programs = blocks("docs/hosts.md", "lua")
    assert(#programs >= 8, "they are gone")
    for i, program in ipairs(programs) do
      local path = ("%s/hosts%d.lua"):format(scratch, i)
      write(path, program)
      emulator.post(running.address .. "/_emulator/reset")
      local output = succeeds(with_environment(path))
      assert.is_nil(output:find("traceback", 1, true), output)
    end
  end)

  it("of examples/ work", function()
    for _, path in ipairs(lines_of "ls examples/*.lua") do
      emulator.post(running.address .. "/_emulator/reset")
      succeeds(with_environment(path))
    end
  end)

  it("show each step of a go live as a bar", function()
    local output = succeeds("TERM=xterm " .. with_environment "examples/golive.lua")
    assert.matches("\n%[100%%%] #+ Certification: succeeded\n", output)
    assert.matches("\n%[100%%%] #+ Live: succeeded\n", output)
    assert.matches("contoso%-virtualmachineoffer is live\n$", output)
    assert.is_nil(output:find("\27", 1, true), "a pipe is no terminal")
  end)

  it("end a go live that fails with its one line and status 1", function()
    emulator.post(running.address .. "/_emulator/offers/contoso/demo-bad", '{"outcome":"failed"}')
    local status, output = run(with_environment "examples/golive.lua demo-bad" .. " >/dev/null")
    assert.equal(1, status)
    assert.matches("^wait contoso/demo%-bad: operation_failed: [^\n]+\n$", output)
  end)
end)
