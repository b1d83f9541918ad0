-- The simulation as a spec: some go-lives hold; and machines broken on purpose don't, each
-- caught by the check that is there for it.

local interpreter = jit and "luajit" or _VERSION:gsub(" ", "")
local folder = "build/simulate/" .. interpreter .. "/"
local SEEDS = 3000

-- Enough to meet what breaks a broken machine.
local MORE_SEEDS = 60000

-- What is broken: the check that catches it, the file, and in pairs the text that is in it
-- once and what stands there instead.
local broken = {
  ["repeats blindly"] = { "taken_twice", "retry.c",
    "return digest->sent == CP_SENT_NO && failed_in_passing(digest->failure);",
    "return failed_in_passing(digest->failure);" },
  ["repeats after a 503 without a delay"] = { "taken_twice", "retry.c",
    "return digest->http_status == 503 && digest->retry_after >= 0;",
    "return digest->http_status == 503;" },
  ["adopts the newest entry"] = { "not_ours", "submission.c",
    "else if (!is_read(digest) || candidates->count == 0)",
    [[else if (is_read(digest) && digest->entry_count)
      adopt(submission, &digest->entries[0]);
    else if (!is_read(digest) || candidates->count == 0)]] },
  ["ignores the kind"] = { "not_ours", "submission.c",
    "return entry->kind == submission->operation->kind &&\n"
      .. "         !cp_ids_hold(&submission->known, entry->id);",
    "return !cp_ids_hold(&submission->known, entry->id);" },
  ["remembers no ids"] = { "not_ours", "submission.c",
    "!cp_ids_hold(&submission->known, entry->id)", "true" },
  ["adopts one of several"] = { "not_ours", "submission.c",
    "else if (candidates->count == 1)\n    adopt(", "else if (candidates->count >= 1)\n    adopt(" },
  ["trusts changedTime"] = { "not_ours", "submission.c",
    "entry->began >= since(submission, digest)", "entry->changed >= since(submission, digest)" },
  ["ignores when it began"] = { "not_ours", "submission.c",
    "entry->began >= since(submission, digest)", "since(submission, digest) < INFINITY" },
  ["trusts its own clock"] = { "taken_twice", "submission.c",
    "submission->policy.since + cp_digest_skew(digest)",
    "submission->policy.since + 0 * cp_digest_skew(digest)" },
  ["follows the URL of an id seen before"] = { "not_ours", "submission.c",
    "if (operation->id && cp_ids_hold(&submission->known, operation->id)) {",
    "if (operation->id && !*operation->id) {" },
  ["looks once only"] = { "lost_track", "submission.c",
    "if (clock->now >= submission->looks_until) {", "if (clock->now >= 0) {" },
  ["looks without a pause"] = { "over_budget", "submission.c",
    "fmin(clock->now + fmax(delay, LOOK_PAUSE), submission->looks_until)",
    "fmin(clock->now + 0 * fmax(delay, LOOK_PAUSE), submission->looks_until)" },
  ["counts an entry that comes twice as two"] = { "lost_track", "ids.c",
    "if (kept == 0 || strcmp(ids[kept - 1], ids[i]) != 0) ids[kept++] = ids[i];",
    "ids[kept++] = ids[i];" },
  ["does as if nothing was sent"] = { "denied", "tasks.c",
    "note_sent(task, CP_SENT_MAYBE);", "note_sent(task, CP_SENT_NO);" },
  ["takes done from the steps"] = { "false_success", "document.c",
    "  bool signoff_waits;\n  bool blocked;", "  bool signoff_waits;\n  bool blocked, going;",
    "  if (of.is_signoff && of.state ==",
    "  if (of.state != CP_SUCCEEDED) said->going = true;\n  if (of.is_signoff && of.state ==",
    "digest->state = waits ? CP_WAITING_FOR_PUBLISHER : said.state;",
    "digest->state = waits ? CP_WAITING_FOR_PUBLISHER : said.going ? said.state : CP_SUCCEEDED;" },
  ["takes the sign-off for the end"] = { "false_success", "words.c",
    "(kind == CP_PUBLISH && state == CP_WAITING_FOR_PUBLISHER)",
    "(kind != CP_KIND_OTHER && state == CP_WAITING_FOR_PUBLISHER)" },
  ["believes a cancel"] = { "false_success", "watch.c",
    "return state == CP_CANCELED ? CP_CODE_NONE : CP_CODE_NOT_CANCELED;",
    "return CP_CODE_NONE;" },
  ["follows an untrusted URL"] = { "untrusted", "url.c",
    "if (!same_origin(url, origin) || has_user(url)) return CP_URL_UNTRUSTED;",
    "if (!same_origin(url, origin) && has_user(url)) return CP_URL_UNTRUSTED;" },
  ["takes an outage for a failure"] = { "false_failure", "watch.c",
    "clock->now - watch->failing_since >= watch->policy.outage)",
    "watch->failures > watch->service->retry.retries)" },
  ["takes an early 404 for lost"] = { "false_failure", "watch.c",
    "return watch->age < 0 || watch->age + (clock->now - watch->began) > PATIENCE;",
    "return clock->now >= watch->began;" },
  ["polls without end while polls fail"] = { "endless_outage", "watch.c",
    "clock->now - watch->failing_since >= watch->policy.outage)",
    "clock->now < watch->failing_since)" },
  ["ends at the deadline without a poll"] = { "no_last_poll", "watch.c",
    "if (now >= watch->deadline) watch->last = true;",
    [[if (now >= watch->deadline) {
      watch->phase = CP_WATCH_FAILED;
      watch->code = CP_CODE_DEADLINE;
      return;
    }]] },
  ["gives the last poll all the time"] = { "too_late", "watch.c",
    "todo->as.send.limit = watch->limit;", "todo->as.send.limit = 0;" },
  ["polls as often as it is told"] = { "over_budget", "watch.c",
    "return fmax(fmin(digest->retry_after, HINT_MAX), watch->policy.min_interval);",
    "return digest->retry_after;" },
}

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read "*a"
  pipe:close()
  return output
end

local function build(program, source)
  local said = run(("CFLAGS=-O1 sh tools/simulate %s%s %s"):format(folder, program, source or ""))
  assert.equal("", said)
end

local function simulate(program, seeds, check)
  return run(("%s%s -q -n %d %s"):format(folder, program, seeds, check and "-c " .. check or ""))
end

-- Where `text` is in `whole`: once, or the spec no longer breaks what it means to.
local function only_place(whole, text)
  local from, to = whole:find(text, 1, true)
  assert.is_truthy(from, "not there: " .. text)
  assert.is_nil(whole:find(text, to + 1, true), "there twice: " .. text)
  return from, to
end

local function breaks(name, traits)
  local file = assert(io.open("src/" .. name))
  local whole = file:read "*a"
  file:close()
  for i = 3, #traits, 2 do
    local from, to = only_place(whole, traits[i])
    whole = whole:sub(1, from - 1) .. traits[i + 1] .. whole:sub(to + 1)
  end
  return whole
end

local function write(name, text)
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
end

local function sorted_names()
  local names = {}
  for name in pairs(broken) do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("the simulation", function()
  setup(function()
    assert.equal("", run("mkdir -p " .. folder .. "source"))
    build "simulate"
  end)

  it("finds no violation", function()
    local said = simulate("simulate", SEEDS)
    assert.is_truthy(said:find(SEEDS .. " go-lives, 0 violations", 1, true), said)
  end)

  it("runs the same for the same seed", function()
    local replay = folder .. "simulate -s 7"
    assert.equal(run(replay), run(replay))
  end)

  for _, name in ipairs(sorted_names()) do
    it("catches a machine that " .. name, function()
      local traits = broken[name]
      local source = folder .. "source/" .. traits[2]
      write(source, breaks(traits[2], traits))
      build("broken", source)
      local said = simulate("broken", MORE_SEEDS, traits[1])
      assert.is_truthy(said:find("^violation " .. traits[1] .. ":"), said)
    end)
  end
end)
