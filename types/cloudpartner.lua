---@meta cloudpartner

-- luacheck: ignore 212 241

-- Types for lua-language-server: add this directory to its `workspace.library`.
-- docs/reference.md says what each of these means.

---@alias cloudpartner.Kind
---| "golive"
---| "publish"
---| "cancel"

---@alias cloudpartner.State
---| "not_started"
---| "running"
---| "waiting_for_publisher"
---| "succeeded"
---| "failed"
---| "canceled"
---| "unknown"

---@alias cloudpartner.StepState
---| cloudpartner.State
---| "blocked"
---| "rejected"
---| "waiting_for_approval"

---@alias cloudpartner.Sent
---| "no"
---| "maybe"
---| "yes"

---@alias cloudpartner.ErrorCode
---| "invalid_request"
---| "unauthorized"
---| "forbidden"
---| "not_found"
---| "conflict"
---| "precondition_failed"
---| "throttled"
---| "server_error"
---| "unexpected_status"
---| "resolve"
---| "connect"
---| "tls"
---| "timeout"
---| "network"
---| "protocol"
---| "too_large"
---| "untrusted_url"
---| "credential"
---| "operation_failed"
---| "operation_canceled"
---| "operation_blocked"
---| "operation_lost"
---| "not_canceled"
---| "ambiguous"
---| "deadline"
---| "canceled"

---@alias cloudpartner.Startable
---| "golive"
---| "publish"
---| "cancel"
---| "cancel_operation"
---| "status"
---| "wait"
---| "offer_status"
---| "operations"
---| "operation"
---| "resume"
---| "publishers"
---| "offer_types"
---| "offers"
---| "offer"
---| "put_offer"
---| "update"
---| "release"

---@alias cloudpartner.Phase
---| "publish"
---| "preview"
---| "golive"
---| "live"

---@alias cloudpartner.Next
---| "nothing"
---| "follow"
---| "golive"
---| "publish"

-- An operation, as it was or as decoded from JSON, or the URL of one.
---@alias cloudpartner.AnyOperation cloudpartner.Operation|table|string

-- By name (a string or a list of strings for each), or a list of pairs.
---@alias cloudpartner.Headers table<string, string|string[]>|string[][]

-------------------------------------------------------------------------- options

---@alias cloudpartner.Source
---| "environment"
---| "managed_identity"
---| "azure_cli"

---@class cloudpartner.Identity
---@field tenant_id? string a directory id or a domain
---@field client_id? string of an app registration, or of a user-assigned managed identity
---@field client_secret? string
---@field federated_token_file? string read at each renewal
---@field kind? cloudpartner.Source
---@field authority? string
---@field scope? string
---@field oauth? "v1"|"v2"

---@class cloudpartner.CredentialOptions: cloudpartner.Identity
---@field credential? cloudpartner.Source|cloudpartner.Identity
---@field tenant_id? string
---@field client_id? string
---@field client_secret? string
---@field federated_token_file? string
---@field kind? cloudpartner.Source
---@field authority? string default: $AZURE_AUTHORITY_HOST, or Microsoft Entra ID
---@field scope? string default: the first client's endpoint and "/.default"
---@field oauth? "v1"|"v2" default: "v2"
---@field exchange_timeout? number seconds; default: 30
---@field connect_timeout? number seconds; default: 10
---@field retries? integer default: 3
---@field retry_delay? number seconds; default: 0.8
---@field retry_max_delay? number seconds; default: 60
---@field max_body? integer bytes; default: 8 MiB
---@field user_agent? string
---@field proxy? string default: the environment's; "" for none
---@field ca_file? string
---@field ca_path? string

---@class cloudpartner.ClientOptions
---@field publisher? string default: $CLOUDPARTNER_PUBLISHER
---@field token? string|fun(): string?, number|string|nil a function gives token, seconds left
---@field credential? cloudpartner.Source|cloudpartner.Identity|cloudpartner.Credential
---@field scope? string default: the endpoint and "/.default"
---@field oauth? "v1"|"v2" default: "v2"
---@field endpoint? string default: $CLOUDPARTNER_ENDPOINT, or the service
---@field authority? string default: $AZURE_AUTHORITY_HOST, or Microsoft Entra ID
---@field api_version? string default: "2017-10-31"
---@field exchange_timeout? number seconds; default: 30
---@field connect_timeout? number seconds; default: 10
---@field retries? integer default: 3
---@field retry_delay? number seconds; default: 0.8
---@field retry_max_delay? number seconds; default: 60
---@field max_body? integer bytes; default: 8 MiB
---@field max_connections? integer default: 8
---@field headers? cloudpartner.Headers
---@field user_agent? string
---@field proxy? string default: the environment's; "" for none
---@field ca_file? string
---@field ca_path? string
---@field transport? fun(request: cloudpartner.Request): cloudpartner.Response?, string?, string?
---@field log? fun(event: cloudpartner.Event)
---@field now? fun(): number Unix seconds
---@field sleep? fun(seconds: number)
---@field random? fun(): number from 0 up to 1

---@class cloudpartner.CallOptions
---@field timeout? number seconds, of the whole call
---@field headers? cloudpartner.Headers
---@field client_request_id? string

---@class cloudpartner.SubmitOptions: cloudpartner.CallOptions
---@field notification_emails? string[]
---@field reconcile? number|false seconds; default: 30
---@field adopt? "running"|number a Unix time
---@field before_send? fun(intent: cloudpartner.Intent)
---@field if_match? string

---@class cloudpartner.WaitOptions: cloudpartner.CallOptions
---@field timeout? number seconds; default: 7 days
---@field interval? number seconds; default: 60
---@field min_interval? number seconds; default: 1
---@field outage? number seconds; default: 1800
---@field on_progress? fun(status: cloudpartner.Status)
---@field on_blocked? "return"|"wait"

---@class cloudpartner.ListOptions: cloudpartner.CallOptions
---@field status? string

---@class cloudpartner.ResumeOptions: cloudpartner.CallOptions
---@field kind? cloudpartner.Kind
---@field submitted_at? string|number
---@field reconcile? number|false seconds; default: 30

---@class cloudpartner.OffersOptions: cloudpartner.CallOptions
---@field filter? string

---@class cloudpartner.OfferOptions: cloudpartner.CallOptions
---@field version? integer|string
---@field slot? "draft"|"preview"|"production"

---@class cloudpartner.PutOptions: cloudpartner.CallOptions
---@field if_match? string default: the offer's etag
---@field create? boolean
---@field leave_out? boolean default: true

---@class cloudpartner.UpdateOptions: cloudpartner.CallOptions
---@field if_match? string when the service told no etag
---@field leave_out? boolean default: true

---@class cloudpartner.ReleaseOptions: cloudpartner.CallOptions
---@field notification_emails? string[]
---@field before_send? fun(intent: cloudpartner.Intent)
---@field reconcile? number|false seconds; default: 30
---@field interval? number seconds; default: 60
---@field min_interval? number seconds; default: 1
---@field outage? number seconds; default: 1800
---@field on_blocked? "return"|"wait"
---@field on_progress? fun(status: cloudpartner.Status, phase: cloudpartner.Phase)
---@field confirm? fun(status: cloudpartner.Status): boolean?
---@field dry_run? boolean

---@class cloudpartner.GoliveOptions
---@field offer string
---@field wait? boolean

---@class cloudpartner.FollowOptions
---@field operation cloudpartner.AnyOperation

---@class cloudpartner.StatusCall: cloudpartner.ClientOptions, cloudpartner.FollowOptions, cloudpartner.CallOptions

---@class cloudpartner.WaitCall: cloudpartner.ClientOptions, cloudpartner.FollowOptions, cloudpartner.WaitOptions

---@class cloudpartner.GoliveCall: cloudpartner.ClientOptions, cloudpartner.GoliveOptions, cloudpartner.WaitOptions, cloudpartner.SubmitOptions

--------------------------------------------------------------------------- tables

---@class cloudpartner.Operation
---@field format integer
---@field api string
---@field kind cloudpartner.Kind?
---@field publisher string?
---@field offer string?
---@field id string?
---@field url string
---@field cancels string?
---@field submitted_at string?
---@field poll_after string? when the 202 asked for a delay
---@field adopted boolean
---@field done boolean
---@field state cloudpartner.State? from `operations` and `operation`
---@field slot string? from `operations`
---@field changed_at string? from `operations` and `operation`
local Operation = {}

-- From `operations` and `operation` a string stands here: the service's own word.
---@param options? cloudpartner.CallOptions
---@return cloudpartner.Status?
---@return cloudpartner.Error?
function Operation:status(options) end

---@param options? cloudpartner.WaitOptions
---@return cloudpartner.Status?
---@return cloudpartner.Error?
function Operation:wait(options) end

---@param options? cloudpartner.SubmitOptions
---@return cloudpartner.Operation?
---@return cloudpartner.Error?
function Operation:cancel(options) end

---@class cloudpartner.Intent
---@field format integer
---@field api string
---@field kind cloudpartner.Kind
---@field publisher string
---@field offer string
---@field cancels string?
---@field client_request_id string
---@field time string
---@field seen string[]? the ids that the offer's list held before

-- An offer: its text, and edits of it. Each edit gives the offer.
---@class cloudpartner.Offer
---@field id string?
---@field etag string?
---@field json string
---@field document table
---@field left_out string[]?
local Offer = {}

---@param pointer string
---@return any
function Offer:get(pointer) end

---@param pointer string
---@param value any
---@return cloudpartner.Offer
function Offer:set(pointer, value) end

---@param pointer string
---@param value any
---@return cloudpartner.Offer
function Offer:append(pointer, value) end

---@param pointer string
---@return cloudpartner.Offer
function Offer:remove(pointer) end

---@param list { op: string, path: string, from: string?, value: any }[]
---@return cloudpartner.Offer
function Offer:patch(list) end

---@param other cloudpartner.Offer|string
---@return string[] pointers
function Offer:diff(other) end

---@param plan string
---@return table<string, table>?
function Offer:images(plan) end

---@param image { plan: string, version: string, os_vhd_url: string, data_disks: (string|table)[]?, fields: table?, replace: boolean? }
---@return cloudpartner.Offer
---@return string[] warnings
function Offer:add_image(image) end

---@param image { plan: string, version: string }
---@return cloudpartner.Offer
function Offer:remove_image(image) end

-- What a release would do.
---@class cloudpartner.Plan
---@field offer string
---@field next cloudpartner.Next
---@field operation cloudpartner.Operation?
---@field differences string[]?

-- The last status of a release.
---@class cloudpartner.Released: cloudpartner.Status
---@field phase cloudpartner.Phase

-- What became of one of several offers.
---@class cloudpartner.Member
---@field offer string
---@field status (cloudpartner.Released|cloudpartner.Plan)?
---@field error any

---@class cloudpartner.Status
---@field state cloudpartner.State
---@field status string the service's own word
---@field done boolean
---@field progress integer
---@field steps cloudpartner.Step[]
---@field messages cloudpartner.Message[]
---@field blocked_by cloudpartner.Step?
---@field error any
---@field retry_after number?
---@field document table

---@class cloudpartner.Step
---@field id string?
---@field name string?
---@field description string?
---@field state cloudpartner.StepState
---@field status string?
---@field progress integer
---@field estimated_time string?
---@field messages cloudpartner.Message[]

---@class cloudpartner.Message
---@field text string
---@field html string
---@field level string?
---@field timestamp string?

---@class cloudpartner.Error
---@field code cloudpartner.ErrorCode
---@field message string
---@field advice string?
---@field call string
---@field http_status integer?
---@field service_code string?
---@field details any
---@field request_id string?
---@field client_request_id string
---@field retryable boolean
---@field retry_after number?
---@field sent cloudpartner.Sent
---@field operation cloudpartner.Operation?
---@field intent cloudpartner.Intent?
---@field last_status cloudpartner.Status?
---@field phase cloudpartner.Phase? of a release

------------------------------------------------------------------------ exchanges

---@class cloudpartner.Request
---@field method "GET"|"POST"|"PUT"
---@field url string
---@field headers string[][]
---@field body string?
---@field timeout number

---@class cloudpartner.Response
---@field status integer
---@field headers? cloudpartner.Headers
---@field body? string

---@class cloudpartner.Event
---@field message string?
---@field kind "request"|"answer"|"retry"|"poll"|"token"|"reconcile"
---@field call string
---@field client_request_id string
---@field publisher string?
---@field offer string?
---@field operation string?
---@field method string?
---@field url string?
---@field http_status integer?
---@field error cloudpartner.ErrorCode?
---@field request_id string?
---@field seconds number?
---@field next_in number?
---@field state cloudpartner.State?
---@field failing_for number?

---@class cloudpartner.Exchange
---@field request cloudpartner.Request
---@field response cloudpartner.Response?
---@field error cloudpartner.ErrorCode?
---@field started_at number
---@field seconds number

---------------------------------------------------------------------------- tasks

---@class cloudpartner.Task
local Task = {}

---@return boolean
function Task:done() end

-- What the method would have returned; raises before the end.
---@return any
---@return cloudpartner.Error?
function Task:result() end

function Task:cancel() end

-- For those who write the module of a host.
---@param wake? fun()
function Task:hold(wake) end

---@return boolean wanted
---@return boolean is_for_token
function Task:wanted() end

---@return function f, any ...
function Task:call() end

---@param ok boolean
---@param ... any
function Task:answer(ok, ...) end

function Task:release() end

--------------------------------------------------------------------------- client

---@class cloudpartner.Credential
local Credential = {}

function Credential:close() end

---@class cloudpartner.Client
local Client = {}

---@param offer string
---@param options? cloudpartner.SubmitOptions
---@return cloudpartner.Operation?
---@return cloudpartner.Error?
function Client:golive(offer, options) end

---@param offer string
---@param options? cloudpartner.SubmitOptions
---@return cloudpartner.Operation?
---@return cloudpartner.Error?
function Client:publish(offer, options) end

---@param offer string
---@param options? cloudpartner.SubmitOptions
---@return cloudpartner.Operation?
---@return cloudpartner.Error?
function Client:cancel(offer, options) end

---@param saved cloudpartner.AnyOperation|cloudpartner.Intent
---@param options? cloudpartner.ResumeOptions
---@return cloudpartner.Operation?
---@return cloudpartner.Error?
function Client:resume(saved, options) end

---@param operation cloudpartner.AnyOperation
---@param options? cloudpartner.CallOptions
---@return cloudpartner.Status?
---@return cloudpartner.Error?
function Client:status(operation, options) end

---@param operation cloudpartner.AnyOperation
---@param options? cloudpartner.WaitOptions
---@return cloudpartner.Status?
---@return cloudpartner.Error?
function Client:wait(operation, options) end

---@param offer string
---@param options? cloudpartner.CallOptions
---@return cloudpartner.Status?
---@return cloudpartner.Error?
function Client:offer_status(offer, options) end

---@param offer string
---@param options? cloudpartner.ListOptions
---@return cloudpartner.Operation[]?
---@return cloudpartner.Error?
function Client:operations(offer, options) end

---@param offer string
---@param id string
---@param options? cloudpartner.CallOptions
---@return cloudpartner.Operation?
---@return cloudpartner.Error?
function Client:operation(offer, id, options) end

---@param options? cloudpartner.CallOptions
---@return table[]?
---@return cloudpartner.Error?
function Client:publishers(options) end

---@param options? cloudpartner.CallOptions
---@return table[]?
---@return cloudpartner.Error?
function Client:offer_types(options) end

---@param options? cloudpartner.OffersOptions
---@return table[]?
---@return cloudpartner.Error?
function Client:offers(options) end

---@param id string
---@param options? cloudpartner.OfferOptions
---@return cloudpartner.Offer?
---@return cloudpartner.Error?
function Client:offer(id, options) end

---@param id string
---@param offer cloudpartner.Offer|string
---@param options? cloudpartner.PutOptions
---@return cloudpartner.Offer?
---@return cloudpartner.Error?
function Client:put_offer(id, offer, options) end

---@param id string
---@param f fun(offer: cloudpartner.Offer): boolean?
---@param options? cloudpartner.UpdateOptions
---@return cloudpartner.Offer?
---@return cloudpartner.Error?
function Client:update(id, f, options) end

---@param offer string|string[]
---@param options? cloudpartner.ReleaseOptions
---@return cloudpartner.Released|cloudpartner.Plan|cloudpartner.Member[]|nil
---@return cloudpartner.Error?
function Client:release(offer, options) end

---@param method cloudpartner.Startable
---@param ... any what the method takes
---@return cloudpartner.Task
function Client:start(method, ...) end

---@param seconds? number to wait at most; default: 0
---@return integer open tasks that are still open
function Client:step(seconds) end

---@return number? seconds until `step` is needed
function Client:timeout() end

---@return integer? descriptor
function Client:pollfd() end

---@return "r"?
function Client:events() end

---@return cloudpartner.Task[]
function Client:tasks() end

---@return integer exchanges that libcurl is at
function Client:in_flight() end

---@param f? fun(exchange: cloudpartner.Exchange) nil: no more
function Client:observe(f) end

function Client:close() end

--------------------------------------------------------------------------- module

---@class cloudpartner
---@field _VERSION string
local cloudpartner = {}

---@param options? cloudpartner.ClientOptions
---@return cloudpartner.Client
function cloudpartner.new(options) end

-- A credential that clients share.
---@param options? cloudpartner.Source|cloudpartner.CredentialOptions
---@return cloudpartner.Credential
function cloudpartner.credential(options) end

-- An offer that is not the service's yet.
---@param document string|table JSON text, or a table
---@param id? string
---@return cloudpartner.Offer
function cloudpartner.offer(document, id) end

-- The same table, which JSON has for an array from now on, also when it is empty.
---@param list table
---@return table
function cloudpartner.array(list) end

-- A value that is written as this JSON text; tostring() gives it.
---@param text string
---@return userdata
function cloudpartner.raw(text) end

-- An operation; with `wait = true` its last status.
---@param options cloudpartner.GoliveCall
---@return cloudpartner.Operation|cloudpartner.Status|nil
---@return cloudpartner.Error?
function cloudpartner.golive(options) end

---@param options cloudpartner.StatusCall
---@return cloudpartner.Status?
---@return cloudpartner.Error?
function cloudpartner.status(options) end

---@param options cloudpartner.WaitCall
---@return cloudpartner.Status?
---@return cloudpartner.Error?
function cloudpartner.wait(options) end

--------------------------------------------------------------- cloudpartner.async

-- What `await` gets.
---@class cloudpartner.async.Held
local Held = {}

---@return boolean done nothing to await: it has ended, or a function is to be called
function Held:done() end

---@param f fun() must neither raise nor yield
function Held:notify(f) end

---@return any ...
function Held:result() end

function Held:cancel() end

---@class cloudpartner.async.Result
---@field ok boolean
---@field n? integer how many results
---@field error? any
---@field traceback? string

-- What `require "cloudpartner.async"` gives.
---@class cloudpartner.async
local Async = {}

---@param client cloudpartner.Client
---@param await fun(client: cloudpartner.Client, task: cloudpartner.async.Held)
---@return cloudpartner.Client
function Async.wrap(client, await) end

---@param client cloudpartner.Client
---@param ... fun(wrapped: cloudpartner.Client): any
---@return cloudpartner.async.Result[]
function Async.run(client, ...) end

---@param f function
---@param ... any
---@return boolean ok, any ...
function Async.pcall(f, ...) end

---@return thread?
function Async.running() end

--------------------------------------------- cloudpartner.cqueues, cloudpartner.luv

-- What `require "cloudpartner.cqueues"` gives.
---@class cloudpartner.cqueues
local Cqueues = {}

---@param options? cloudpartner.ClientOptions
---@return cloudpartner.Client
function Cqueues.new(options) end

---@class cloudpartner.luv.ClientOptions: cloudpartner.ClientOptions
---@field on_error? fun(err: any, traceback: string)

---@class cloudpartner.luv.Call
local LuvCall = {}

function LuvCall:cancel() end

-- What `require "cloudpartner.luv"` gives.
---@class cloudpartner.luv
local Luv = {}

---@param options? cloudpartner.luv.ClientOptions
---@return cloudpartner.Client
function Luv.new(options) end

---@param client cloudpartner.Client of `new`
---@param method string
---@param ... any what the method takes, then `callback(err, result)`
---@return cloudpartner.luv.Call
function Luv.start(client, method, ...) end

--------------------------------------------------------------- cloudpartner.resty

-- What `require "cloudpartner.resty"` gives, in nginx.
---@class cloudpartner.resty
local Resty = {}

---@class cloudpartner.resty.ClientOptions: cloudpartner.ClientOptions
---@field keep? cloudpartner.resty.Keep of `keep`

-- Values are strings. `add`: nil when the key is there; seconds 0: for ever.
---@class cloudpartner.resty.Store
---@field get fun(self, key: string): string?
---@field add fun(self, key: string, value: string, seconds: number): boolean?, string?
---@field set fun(self, key: string, value: string, seconds: number): boolean?, string?
---@field delete fun(self, key: string)
---@field list fun(self): string[]

---@class cloudpartner.resty.KeepOptions
---@field lease? number seconds until another may follow; default: 30
---@field remember? number seconds for which an end is kept; default: 86400

---@class cloudpartner.resty.FollowOptions
---@field on_end? fun(operation?: cloudpartner.Operation, status?: cloudpartner.Status, err?: cloudpartner.Error)
---@field wait? cloudpartner.WaitOptions

---@class cloudpartner.resty.Keep
local Keep = {}

---@param client cloudpartner.Client of `new`, with this `keep`
---@param options? cloudpartner.resty.FollowOptions
function Keep:follow(client, options) end

---@param options? cloudpartner.resty.ClientOptions
---@return cloudpartner.Client
function Resty.new(options) end

---@param store cloudpartner.resty.Store
---@param options? cloudpartner.resty.KeepOptions
---@return cloudpartner.resty.Keep
function Resty.keep(store, options) end

---@param name string of a `lua_shared_dict`
---@return cloudpartner.resty.Store
function Resty.shared(name) end

---@param open function lua-resty-http's `new`
---@return function transport
function Resty.http(open) end

---@param f fun()
function Resty.background(f) end

----------------------------------------------------------------- cloudpartner.har

---@class cloudpartner.har.Entry
---@field comment string?
---@field started_at number?
---@field seconds number
---@field request { method: string, url: string, headers: string[][], body: string }
---@field response { status: integer, headers: string[][], body: string, error: string? }

---@class cloudpartner.har.Recording
---@field version string?
---@field comment string?
---@field origin string?
---@field entries cloudpartner.har.Entry[]

---@class cloudpartner.har.Player
---@field transport fun(request: cloudpartner.Request): cloudpartner.Response?, string?, string?
---@field now fun(): number
---@field sleep fun(seconds: number)
---@field random fun(): number
---@field slept number[]
---@field unmatched string[]
---@field recording cloudpartner.har.Recording
---@field at integer
local Player = {}

---@param more? cloudpartner.ClientOptions
---@return cloudpartner.ClientOptions
function Player:options(more) end

---@return true?
---@return string? message
function Player:finish() end

---@class cloudpartner.har.Recorder
---@field client cloudpartner.Client
---@field comment string?
---@field entries cloudpartner.har.Entry[]
local Recorder = {}

---@return string
function Recorder:text() end

---@param path string
---@return true?
---@return string? message
function Recorder:save(path) end

function Recorder:stop() end

-- What `require "cloudpartner.har"` gives.
---@class cloudpartner.har
local har = {}

---@param path string
---@return cloudpartner.har.Recording?
---@return string? message
function har.read(path) end

---@param text string
---@return cloudpartner.har.Recording?
---@return string? message
function har.parse(text) end

---@param recording cloudpartner.har.Recording
---@return string
function har.format(recording) end

---@param source string|cloudpartner.har.Recording
---@return cloudpartner.har.Player?
---@return string? message
function har.player(source) end

---@param client cloudpartner.Client
---@param comment? string
---@return cloudpartner.har.Recorder
function har.record(client, comment) end

return cloudpartner
