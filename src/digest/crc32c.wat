;; CRC32C, eight bytes a step. The bytes of crc32c-module.ts are this file, assembled by WABT's wat2wasm.
(module
  (memory (export "memory") 2)
  ;; tables at 0: 8 x 256 x 4 = 8192 bytes; data from 8192
  (func $init (local $i i32) (local $c i32) (local $k i32)
    (loop $next
      (local.set $c (local.get $i))
      (local.set $k (i32.const 8))
      (loop $bit
        (local.set $c (i32.xor (i32.shr_u (local.get $c) (i32.const 1))
          (i32.and (i32.const 0x82f63b78) (i32.sub (i32.const 0) (i32.and (local.get $c) (i32.const 1))))))
        (br_if $bit (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $c))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256))))
    (loop $more
      (local.set $c (i32.load (i32.sub (i32.shl (local.get $i) (i32.const 2)) (i32.const 1024))))
      (i32.store (i32.shl (local.get $i) (i32.const 2))
        (i32.xor (i32.load (i32.shl (i32.and (local.get $c) (i32.const 255)) (i32.const 2))) (i32.shr_u (local.get $c) (i32.const 8))))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2048)))))
  (start $init)
  (func (export "crc") (param $c i32) (param $len i32) (result i32) (local $p i32) (local $end i32) (local $b i32)
    (local.set $p (i32.const 8192))
    (local.set $end (i32.add (i32.const 8192) (local.get $len)))
    (local.set $c (i32.xor (local.get $c) (i32.const -1)))
    (block $tail (loop $eight
      (br_if $tail (i32.gt_u (i32.add (local.get $p) (i32.const 8)) (local.get $end)))
      (local.set $c (i32.xor (local.get $c) (i32.load (local.get $p))))
      (local.set $b (i32.load offset=4 (local.get $p)))
      (local.set $c
        (i32.xor (i32.xor (i32.xor
          (i32.load offset=7168 (i32.shl (i32.and (local.get $c) (i32.const 255)) (i32.const 2)))
          (i32.load offset=6144 (i32.shl (i32.and (i32.shr_u (local.get $c) (i32.const 8)) (i32.const 255)) (i32.const 2))))
         (i32.xor
          (i32.load offset=5120 (i32.shl (i32.and (i32.shr_u (local.get $c) (i32.const 16)) (i32.const 255)) (i32.const 2)))
          (i32.load offset=4096 (i32.shl (i32.shr_u (local.get $c) (i32.const 24)) (i32.const 2)))))
        (i32.xor (i32.xor
          (i32.load offset=3072 (i32.shl (i32.and (local.get $b) (i32.const 255)) (i32.const 2)))
          (i32.load offset=2048 (i32.shl (i32.and (i32.shr_u (local.get $b) (i32.const 8)) (i32.const 255)) (i32.const 2))))
         (i32.xor
          (i32.load offset=1024 (i32.shl (i32.and (i32.shr_u (local.get $b) (i32.const 16)) (i32.const 255)) (i32.const 2)))
          (i32.load (i32.shl (i32.shr_u (local.get $b) (i32.const 24)) (i32.const 2)))))))
      (local.set $p (i32.add (local.get $p) (i32.const 8)))
      (br $eight)))
    (block $done (loop $one
      (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
      (local.set $c (i32.xor (i32.load (i32.shl (i32.and (i32.xor (local.get $c) (i32.load8_u (local.get $p))) (i32.const 255)) (i32.const 2))) (i32.shr_u (local.get $c) (i32.const 8))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br $one)))
    (i32.xor (local.get $c) (i32.const -1))))
