--- A real nginx with the module in it, for specs: it runs the Lua that they send.
--
--     local server = nginx.start { service = service, workers = 2 }
--     local answer = server.run [[ return client:golive("spec-a").id ]]
--     server.signal "HUP"
--     server.stop()

local cjson = require "cjson"
local live = require "spec.host.live"

local nginx = {}

local function output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  return output
end

local function quoted(word)
  return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a" or ""
  if file then file:close() end
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- Paths are relative to the server's directory: a name with a blank is never parsed.
local CONFIGURATION = [[
daemon off;
USER
master_process MASTER;
worker_processes WORKERS;
pid nginx.pid;
error_log error.log info;
env CLOUDPARTNER_TOKEN; env CLOUDPARTNER_ENDPOINT; env CLOUDPARTNER_PUBLISHER; env HOST_KEEP;
env AZURE_TENANT_ID; env AZURE_CLIENT_ID; env AZURE_CLIENT_SECRET; env AZURE_AUTHORITY_HOST;
env LD_PRELOAD; env ASAN_OPTIONS; env UBSAN_OPTIONS;
include modules.conf;
worker_shutdown_timeout 20s;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  client_body_buffer_size 1m;
  lua_package_path "$prefix/lua/?.lua;$prefix/host/?.lua;;";
  lua_package_cpath "$prefix/module/?.so;;";
  lua_code_cache CACHE;
  lua_check_client_abort on;
  lua_socket_log_errors off;
  lua_shared_dict kept 1m;
  lua_shared_dict small 16k;
  init_by_lua_block { INIT }
  init_worker_by_lua_block { INIT_WORKER }
  server {
    listen 127.0.0.1:PORT;
    location /content { content_by_lua_block { require("nginx_host").serve() } }
    location /access { access_by_lua_block { require("nginx_host").serve() } }
    location /rewrite { rewrite_by_lua_block { require("nginx_host").serve() } }
    location /log {
      content_by_lua_block { ngx.req.read_body() ngx.say("null") }
      log_by_lua_block { require("nginx_host").note("log") }
    }
    location /header_filter {
      content_by_lua_block { ngx.req.read_body() ngx.say("null") }
      header_filter_by_lua_block { require("nginx_host").note("header_filter") }
    }
    location /trivial { return 200 "ok"; }
    location /whose { return 200 "DIRECTORY"; }
  }
}
]]

-- Specs that run beside this one are not to try the same ports.
math.randomseed(live.calls.pid())

-- Workers of root's are nobody's, who may not read the directory.
local is_root = output_of "id -u":match "%d+" == "0"

local function configuration(options, port, directory)
  local words = {
    DIRECTORY = directory,
    MASTER = options.single and "off" or "on", WORKERS = options.workers or 1,
    CACHE = options.cache or "on", PORT = port,
    USER = is_root and "user root;" or "", INIT = options.init or "", INIT_WORKER = options.init_worker or "",
  }
  return (CONFIGURATION:gsub("%u[%u_]+", words))
end

local variant = os.getenv "VARIANT"

local function furnish(options, port)
  local directory = output_of "mktemp -d":match "[^\n]+"
  local module = "build/" .. (variant and variant .. "/" or "") .. "5.1"
  local root = output_of "pwd":match "[^\n]+"
  for name, target in pairs { lua = "lua", module = module, host = "spec/host" } do
    os.execute(("ln -s %s %s/%s"):format(quoted(root .. "/" .. target), directory, name))
  end
  os.execute(("sh emulator/modules >%s/modules.conf"):format(directory))
  write(directory .. "/nginx.conf", configuration(options, port, directory))
  return directory
end

local SANITIZERS = { asan = "asan ubsan", tsan = "tsan" }

local function preloads()
  local libraries = {}
  for name in (SANITIZERS[variant] or ""):gmatch "%w+" do
    libraries[#libraries + 1] = output_of("gcc -print-file-name=lib" .. name .. ".so")
      :match "[^\n]+"
  end
  return #libraries > 0 and table.concat(libraries, " ") or nil
end

local function try(options, port)
  local directory = furnish(options, port)
  local environment = options.service.environment {
    LD_PRELOAD = preloads(), HOST_KEEP = options.keep, PATH = os.getenv "PATH" .. ":/usr/sbin",
    -- Workers end by _exit, and leaks are not looked for there.
    CLOUDPARTNER_TOKEN = options.token,
    ASAN_OPTIONS = variant
      and "intercept_tls_get_addr=0:exitcode=99:detect_leaks=" .. (options.single and 1 or 0),
  }
  local process = live.spawn({ "nginx", "-p", directory .. "/", "-c", "nginx.conf",
    "-e", "error.log" }, environment)
  local server = { directory = directory, process = process }
  server.address = "http://127.0.0.1:" .. port
  local up = live.await(function()
    if read(directory .. "/error.log"):find "bind%(%)" then return "taken" end
    if process.has_ended() then return "ended" end
    return output_of("curl -s --noproxy '*' " .. server.address .. "/whose") == directory
  end)
  if up == true then return server end
  process.kill "TERM"
  local log = read(directory .. "/error.log") .. process.ended(10).output
  os.execute("rm -rf " .. directory)
  if up == "ended" then error("nginx did not start: " .. log, 0) end
end

local function methods(server)
  local function curl(path, body, limit, more)
    local name = os.tmpname()
    write(name, body)
    return ("curl -s --noproxy '*' --max-time %g --data-binary @%s %s %s; rm -f %s"):format(
      limit or 30 * live.patience, name, more or "", quoted(server.address .. path), name)
  end

  -- What the Lua returned, in a list; what it raised is raised here.
  local function result_of(text)
    local ok, result = pcall(cjson.decode, text)
    if not ok then error("no answer: " .. text .. server.log(), 3) end
    if type(result) == "table" and result.raised then error(result.raised, 3) end
    return result
  end

  --- Runs Lua in a request, and gives what it returns.
  function server.run(code, path)
    return result_of(output_of(curl(path or "/content", code)))
  end

  --- The same, without waiting: a function that waits for it and gives that.
  function server.spawn(code, limit)
    local name = os.tmpname()
    os.execute(("{ { %s; } >%s 2>&1; echo >>%s.done; } >/dev/null 2>&1 &"):format(
      curl("/content", code, limit), name, name))
    return function()
      live.await(function() return read(name .. ".done") ~= "" end)
      local text = read(name)
      os.execute(("rm -f %s %s.done"):format(name, name))
      return result_of(text)
    end
  end

  function server.log() return read(server.directory .. "/error.log") end

  function server.pid() return read(server.directory .. "/nginx.pid"):match "%d+" end

  function server.workers()
    local pids = {}
    for pid in output_of("pgrep -P " .. server.pid()):gmatch "%d+" do pids[#pids + 1] = pid end
    table.sort(pids)
    return pids
  end

  function server.signal(name, pid) os.execute(("kill -%s %s"):format(name, pid or server.pid())) end

  --- Ends it, and gives the status; what the log says of a crash is raised.
  function server.stop(signal)
    server.signal(signal or "TERM")
    local ended = server.process.ended(10)
    local log = server.log()
    os.execute("rm -rf " .. server.directory)
    assert(not log:find "exited on signal 1?[146]", log)
    assert(not (log .. ended.output):find "Sanitizer", log .. ended.output)
    return ended.status
  end
end

--- Starts nginx on a free port. Options: `service`, of live.service; `workers`; `single`:
-- no master; `token`: "" for none in the environment; `cache`: of code, "off"; `init`,
-- `init_worker`: Lua; `keep`: the name of the shared dict by which the client keeps.
function nginx.start(options)
  for _ = 1, 20 do
    local server = try(options, math.random(20000, 60000))
    if server then
      methods(server)
      return server
    end
  end
  error "no free port"
end

return nginx
