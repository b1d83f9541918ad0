rockspec_format = "3.0"
package = "cloudpartner"
version = "scm-1"

source = {
  -- `luarocks make` in a checkout does without.
  url = "git+https://example.org/cloudpartner.git",
}

description = {
  summary = "Client of the Cloud Partner Portal API: publish, go live, wait, resume",
  detailed = [[
    Takes an offer of the Azure marketplace live and tells how it went: a submission is sent at most
    once, a wait survives outages, a saved operation is resumed later. Blocking, or step by step.
  ]],
  license = "MIT",
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.1, < 5.5",
  "lua-cjson >= 2.1.0",
}

-- No `header`: where libraries lie by architecture, LuaRocks looks for it in the wrong place.
external_dependencies = {
  CURL = { library = "curl" },
}

-- The lists are kept by tools/rockspec.lua.
build = {
  type = "builtin",
  modules = {
    cloudpartner = {
      sources = {
        "src/api.c",
        "src/compare.c",
        "src/credential.c",
        "src/digest.c",
        "src/document.c",
        "src/engine.c",
        "src/error.c",
        "src/grant.c",
        "src/group.c",
        "src/ids.c",
        "src/json.c",
        "src/lua_call.c",
        "src/lua_client.c",
        "src/lua_cloudpartner.c",
        "src/lua_credential.c",
        "src/lua_document.c",
        "src/lua_drive.c",
        "src/lua_error.c",
        "src/lua_hold.c",
        "src/lua_identity.c",
        "src/lua_images.c",
        "src/lua_json.c",
        "src/lua_methods.c",
        "src/lua_offer.c",
        "src/lua_offers.c",
        "src/lua_operation.c",
        "src/lua_options.c",
        "src/lua_release.c",
        "src/lua_settings.c",
        "src/lua_task.c",
        "src/lua_value.c",
        "src/memory.c",
        "src/offer.c",
        "src/operation.c",
        "src/os.c",
        "src/plain.c",
        "src/pointer.c",
        "src/process.c",
        "src/put.c",
        "src/read.c",
        "src/release.c",
        "src/retry.c",
        "src/submission.c",
        "src/tasks.c",
        "src/token.c",
        "src/transfer.c",
        "src/tree.c",
        "src/url.c",
        "src/watch.c",
        "src/words.c",
      },
      defines = { "_DEFAULT_SOURCE", "_POSIX_C_SOURCE=200809L" },
      incdirs = { "$(CURL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)" },
      libraries = { "curl", "pthread", "dl", "m" },
    },
    -- in Lua
    ["cloudpartner.async"] = "lua/cloudpartner/async.lua",
    ["cloudpartner.cqueues"] = "lua/cloudpartner/cqueues.lua",
    ["cloudpartner.har"] = "lua/cloudpartner/har.lua",
    ["cloudpartner.luv"] = "lua/cloudpartner/luv.lua",
    ["cloudpartner.resty"] = "lua/cloudpartner/resty.lua",
    ["cloudpartner.resty.http"] = "lua/cloudpartner/resty/http.lua",
    ["cloudpartner.resty.keep"] = "lua/cloudpartner/resty/keep.lua",
    ["cloudpartner.resty.shared"] = "lua/cloudpartner/resty/shared.lua",
  },
}

test = {
  type = "command",
  command = "make test",
}
