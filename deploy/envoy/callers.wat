;; Counts what each address holds of the edge: its open connections, and the bytes of its requests.
;; What is above a bound is closed or refused; what ends is no longer counted, however it ends. A connection that sends nothing is
;; closed after {SILENT_S} seconds. One instance for each worker.
;;
;; codegen/envoy/limits/callers.py replaces the numbers in braces. The host calls the functions exported here
;; (Proxy-Wasm ABI 0.2.1): for a connection before a byte of it is read, for a request once its headers are settled.
(module
  (import "env" "proxy_get_property" (func $get_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_close_stream" (func $close_stream (param i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $act_as (param i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick_each (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))

  ;; Memory: what the host hands over (0 to 1,024 and behind), 65,536 counters of connections, as many of bytes,
  ;; then the places of what is open: its number, its counter, its amount, whether it has sent a byte; then the queue of
  ;; new connections: number and second, the oldest first.
  (memory (export "memory") 75)
  (global $connections i32 (i32.const 65536))
  (global $bytes i32 (i32.const 327680))
  (global $places i32 (i32.const 589824))
  (global $last_place i32 (i32.const 262143))
  (global $queue i32 (i32.const 4784128))
  (global $last_queued i32 (i32.const 16383))
  (global $head (mut i32) (i32.const 0))
  (global $tail (mut i32) (i32.const 0))
  (global $second (mut i32) (i32.const 0))
  (global $ticker (mut i32) (i32.const 0))
  (data (i32.const 16) "source\00address")
  (data (i32.const 32) "x-weft-holds")
  (data (i32.const 48) "address_holds_too_much")
  (data (i32.const 80) "edge_overload")
  (global $total (mut i32) (i32.const 0))
  (global $seed (mut i32) (i32.const 0))

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_configure") (param $root i32) (param i32) (result i32)
    (if (i32.eqz (global.get $ticker)) (then (global.set $ticker (local.get $root))))
    (drop (call $tick_each (i32.const 1000)))
    (i32.const 1))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
    ;; Nobody can choose an address that shares its counter with another's.
    (drop (call $random_get (i32.const 8) (i32.const 4)))
    (global.set $seed (i32.load (i32.const 8)))
    (i32.const 1))

  (func (export "proxy_on_new_connection") (param $id i32) (result i32)
    (local $counter i32)
    (local.set $counter (call $counter_of_address (global.get $connections)))
    (call $take (local.get $id) (local.get $counter) (i32.const 1))
    (if (i32.gt_u (i32.load (local.get $counter)) (i32.const {CONNECTIONS}))
      (then
        (drop (call $close_stream (i32.const 2)))
        (return (i32.const 1))))
    (call $enqueue (local.get $id))
    (i32.const 0))

  (func (export "proxy_on_downstream_data") (param $id i32) (param i32 i32) (result i32)
    (local $index i32)
    (local.set $index (call $find (local.get $id)))
    (if (i32.ge_s (local.get $index) (i32.const 0))
      (then (i32.store offset=12 (call $place (local.get $index)) (i32.const 1))))
    (i32.const 0))

  ;; Each second: close what has sent nothing since it connected.
  (func (export "proxy_on_tick") (param $root i32)
    (local $entry i32) (local $index i32)
    (if (i32.ne (local.get $root) (global.get $ticker)) (then (return)))
    (global.set $second (i32.add (global.get $second) (i32.const 1)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (global.get $head) (global.get $tail)))
        (local.set $entry (call $queued (global.get $head)))
        (br_if $done
          (i32.lt_u (i32.sub (global.get $second) (i32.load offset=4 (local.get $entry))) (i32.const {SILENT_S})))
        (global.set $head (i32.add (global.get $head) (i32.const 1)))
        (local.set $index (call $find (i32.load (local.get $entry))))
        (br_if $next (i32.lt_s (local.get $index) (i32.const 0)))
        (br_if $next (i32.load offset=12 (call $place (local.get $index))))
        (drop (call $act_as (i32.load (local.get $entry))))
        (drop (call $close_stream (i32.const 2)))
        (drop (call $act_as (local.get $root)))
        (br $next))))

  (func $queued (param $index i32) (result i32)
    (i32.add
      (global.get $queue)
      (i32.mul (i32.and (local.get $index) (global.get $last_queued)) (i32.const 8))))

  ;; Where the queue is full, its oldest is no longer watched.
  (func $enqueue (param $id i32)
    (local $entry i32)
    (local.set $entry (call $queued (global.get $tail)))
    (i32.store (local.get $entry) (local.get $id))
    (i32.store offset=4 (local.get $entry) (global.get $second))
    (global.set $tail (i32.add (global.get $tail) (i32.const 1)))
    (if (i32.gt_u (i32.sub (global.get $tail) (global.get $head)) (global.get $last_queued))
      (then (global.set $head (i32.add (global.get $head) (i32.const 1))))))

  (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
    (local $counter i32) (local $amount i32)
    (local.set $amount (call $number_in_header))
    (if (i32.eqz (local.get $amount)) (then (return (i32.const 0))))
    (local.set $counter (call $counter_of_address (global.get $bytes)))
    (if (i32.gt_u (i32.add (i32.load (local.get $counter)) (local.get $amount)) (i32.const {ADDRESS_BYTES}))
      (then (return (call $refuse (i32.const 429) (i32.const 48) (i32.const 22)))))
    (if (i32.gt_u (i32.add (global.get $total) (local.get $amount)) (i32.const {BYTES}))
      (then (return (call $refuse (i32.const 503) (i32.const 80) (i32.const 13)))))
    (call $take (local.get $id) (local.get $counter) (local.get $amount))
    (i32.const 0))

  ;; Every context ends so, of connections and of requests.
  (func (export "proxy_on_delete") (param $id i32)
    (call $give_back (local.get $id)))

  (func $refuse (param $status i32) (param $details i32) (param $length i32) (result i32)
    (drop (call $respond (local.get $status) (local.get $details) (local.get $length)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1))

  (func $number_in_header (result i32)
    (local $at i32) (local $end i32) (local $number i32)
    (if (call $get_header (i32.const 0) (i32.const 32) (i32.const 12) (i32.const 0) (i32.const 4))
      (then (return (i32.const 0))))
    (local.set $at (i32.load (i32.const 0)))
    (local.set $end (i32.add (local.get $at) (i32.load (i32.const 4))))
    (block $done
      (loop $digit
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $number
          (i32.add
            (i32.mul (local.get $number) (i32.const 10))
            (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $digit)))
    (local.get $number))

  ;; The counter, in a table of them, of the address on the other side: of its text up to the port, FNV-1a.
  (func $counter_of_address (param $table i32) (result i32)
    (local $at i32) (local $end i32) (local $hash i32)
    (if (call $get_property (i32.const 16) (i32.const 14) (i32.const 0) (i32.const 4))
      (then (return (local.get $table))))
    (local.set $at (i32.load (i32.const 0)))
    (local.set $end (i32.add (local.get $at) (i32.load (i32.const 4))))
    (loop $back
      (local.set $end (i32.sub (local.get $end) (i32.const 1)))
      (br_if $back
        (i32.and
          (i32.gt_u (local.get $end) (local.get $at))
          (i32.ne (i32.load8_u (local.get $end)) (i32.const 58)))))
    (local.set $hash (global.get $seed))
    (block $done
      (loop $each
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $hash
          (i32.mul
            (i32.xor (local.get $hash) (i32.load8_u (local.get $at)))
            (i32.const 16777619)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $each)))
    (local.set $hash (i32.xor (local.get $hash) (i32.shr_u (local.get $hash) (i32.const 16))))
    (i32.add
      (local.get $table)
      (i32.mul (i32.and (local.get $hash) (i32.const 65535)) (i32.const 4))))

  (func $add (param $counter i32) (param $amount i32)
    (i32.store (local.get $counter) (i32.add (i32.load (local.get $counter)) (local.get $amount)))
    (if (i32.ge_u (local.get $counter) (global.get $bytes))
      (then (global.set $total (i32.add (global.get $total) (local.get $amount))))))

  ;; Places: open addressing by number. There are more than can be open at a time.
  (func $place (param $index i32) (result i32)
    (i32.add
      (global.get $places)
      (i32.mul (i32.and (local.get $index) (global.get $last_place)) (i32.const 16))))

  (func $take (param $id i32) (param $counter i32) (param $amount i32)
    (local $index i32)
    (call $add (local.get $counter) (local.get $amount))
    (local.set $index (local.get $id))
    (block $free
      (loop $next
        (br_if $free (i32.eqz (i32.load (call $place (local.get $index)))))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next)))
    (i32.store (call $place (local.get $index)) (local.get $id))
    (i32.store offset=4 (call $place (local.get $index)) (local.get $counter))
    (i32.store offset=8 (call $place (local.get $index)) (local.get $amount))
    (i32.store offset=12 (call $place (local.get $index)) (i32.const 0)))

  ;; Where a number has its place; -1 where it has none.
  (func $find (param $id i32) (result i32)
    (local $index i32)
    (local.set $index (local.get $id))
    (loop $next (result i32)
      (if (i32.eq (i32.load (call $place (local.get $index))) (local.get $id))
        (then (return (i32.and (local.get $index) (global.get $last_place)))))
      (if (i32.eqz (i32.load (call $place (local.get $index)))) (then (return (i32.const -1))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br $next)))

  (func $give_back (param $id i32)
    (local $index i32) (local $hole i32) (local $other i32)
    (local.set $index (call $find (local.get $id)))
    (if (i32.lt_s (local.get $index) (i32.const 0)) (then (return)))
    (call $add
      (i32.load offset=4 (call $place (local.get $index)))
      (i32.sub (i32.const 0) (i32.load offset=8 (call $place (local.get $index)))))
    (local.set $hole (local.get $index))
    ;; Those behind move up, unless the hole is before the place that they belong to.
    (block $end
      (loop $move
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (local.set $other (i32.load (call $place (local.get $index))))
        (br_if $end (i32.eqz (local.get $other)))
        (br_if $move
          (i32.lt_u
            (i32.and (i32.sub (local.get $index) (local.get $other)) (global.get $last_place))
            (i32.and (i32.sub (local.get $index) (local.get $hole)) (global.get $last_place))))
        (i64.store (call $place (local.get $hole)) (i64.load (call $place (local.get $index))))
        (i64.store offset=8 (call $place (local.get $hole)) (i64.load offset=8 (call $place (local.get $index))))
        (local.set $hole (local.get $index))
        (br $move)))
    (i32.store (call $place (local.get $hole)) (i32.const 0))))
