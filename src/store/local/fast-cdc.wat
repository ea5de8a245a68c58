;; Where the next chunk of FastCDC ends; see fast-cdc.ts. The gear table lies at 0, the content behind it.
(module
  (memory (export "memory") 17)
  ;; The length of the chunk that starts at $at: from $min bytes on the mask $strict, from $center on the mask $loose, at
  ;; most $end bytes. Two bytes a step, as the paper has it (section 3.7): a last odd byte is not looked at.
  (func (export "cut") (param $at i32) (param $min i32) (param $center i32) (param $end i32)
                       (param $strict i64) (param $loose i64) (result i32)
    (local $hash i64) (local $index i32) (local $mask i64) (local $limit i32) (local $last i32)
    (local.set $index (i32.and (local.get $min) (i32.const -2)))
    (local.set $limit (i32.and (local.get $center) (i32.const -2)))
    (local.set $last (i32.and (local.get $end) (i32.const -2)))
    (local.set $mask (local.get $strict))
    (loop $phase
      (block $done
        (loop $step
          (br_if $done (i32.ge_u (local.get $index) (local.get $limit)))
          (local.set $hash
            (i64.add
              (i64.shl (local.get $hash) (i64.const 2))
              (i64.shl
                (i64.load (i32.shl (i32.load8_u (i32.add (local.get $at) (local.get $index))) (i32.const 3)))
                (i64.const 1))))
          (if (i64.eqz (i64.and (local.get $hash) (i64.shl (local.get $mask) (i64.const 1))))
            (then (return (local.get $index))))
          (local.set $hash
            (i64.add
              (local.get $hash)
              (i64.load (i32.shl (i32.load8_u offset=1 (i32.add (local.get $at) (local.get $index))) (i32.const 3)))))
          (if (i64.eqz (i64.and (local.get $hash) (local.get $mask)))
            (then (return (i32.add (local.get $index) (i32.const 1)))))
          (local.set $index (i32.add (local.get $index) (i32.const 2)))
          (br $step)))
      (if (i32.lt_u (local.get $limit) (local.get $last))
        (then
          (local.set $limit (local.get $last))
          (local.set $mask (local.get $loose))
          (br $phase))))
    (local.get $end)))
