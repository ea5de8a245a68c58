;; SHA-256 of one message. The bytes of sha256-module.ts are this file, assembled by WABT's wat2wasm.
(module
  ;; 0: the constants K; 256: the schedule W of a block; 512: the state, at the end the hash; 544: the message.
  (memory (export "memory") 1)
  (data (i32.const 0)
    "\98\2f\8a\42\91\44\37\71\cf\fb\c0\b5\a5\db\b5\e9\5b\c2\56\39\f1\11\f1\59\a4\82\3f\92\d5\5e\1c\ab"
    "\98\aa\07\d8\01\5b\83\12\be\85\31\24\c3\7d\0c\55\74\5d\be\72\fe\b1\de\80\a7\06\dc\9b\74\f1\9b\c1"
    "\c1\69\9b\e4\86\47\be\ef\c6\9d\c1\0f\cc\a1\0c\24\6f\2c\e9\2d\aa\84\74\4a\dc\a9\b0\5c\da\88\f9\76"
    "\52\51\3e\98\6d\c6\31\a8\c8\27\03\b0\c7\7f\59\bf\f3\0b\e0\c6\47\91\a7\d5\51\63\ca\06\67\29\29\14"
    "\85\0a\b7\27\38\21\1b\2e\fc\6d\2c\4d\13\0d\38\53\54\73\0a\65\bb\0a\6a\76\2e\c9\c2\81\85\2c\72\92"
    "\a1\e8\bf\a2\4b\66\1a\a8\70\8b\4b\c2\a3\51\6c\c7\19\e8\92\d1\24\06\99\d6\85\35\0e\f4\70\a0\6a\10"
    "\16\c1\a4\19\08\6c\37\1e\4c\77\48\27\b5\bc\b0\34\b3\0c\1c\39\4a\aa\d8\4e\4f\ca\9c\5b\f3\6f\2e\68"
    "\ee\82\8f\74\6f\63\a5\78\14\78\c8\84\08\02\c7\8c\fa\ff\be\90\eb\6c\50\a4\f7\a3\f9\be\f2\78\71\c6")
  (func $swap (param $x i32) (result i32)
    (i32.or
      (i32.and (i32.rotl (local.get $x) (i32.const 8)) (i32.const 0x00ff00ff))
      (i32.and (i32.rotr (local.get $x) (i32.const 8)) (i32.const 0xff00ff00))))
  (func $block (param $p i32)
    (local $i i32) (local $t i32) (local $u i32)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32) (local $e i32) (local $f i32) (local $g i32) (local $h i32)
    (loop $copy
      (i32.store offset=256 (local.get $i) (call $swap (i32.load (i32.add (local.get $p) (local.get $i)))))
      (br_if $copy (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 64))))
    (local.set $a (i32.load offset=512 (i32.const 0))) (local.set $b (i32.load offset=516 (i32.const 0)))
    (local.set $c (i32.load offset=520 (i32.const 0))) (local.set $d (i32.load offset=524 (i32.const 0)))
    (local.set $e (i32.load offset=528 (i32.const 0))) (local.set $f (i32.load offset=532 (i32.const 0)))
    (local.set $g (i32.load offset=536 (i32.const 0))) (local.set $h (i32.load offset=540 (i32.const 0)))
    (local.set $i (i32.const 0))
    (loop $round
      ;; W of this round stands at (i mod 16); the one sixteen rounds on takes its place.
      (local.set $u (i32.load offset=256 (i32.and (local.get $i) (i32.const 60))))
      (local.set $t
        (i32.add (i32.add (i32.add (local.get $h) (local.get $u)) (i32.load (local.get $i)))
          (i32.add
            (i32.xor (i32.xor (i32.rotr (local.get $e) (i32.const 6)) (i32.rotr (local.get $e) (i32.const 11)))
              (i32.rotr (local.get $e) (i32.const 25)))
            (i32.xor (local.get $g) (i32.and (local.get $e) (i32.xor (local.get $f) (local.get $g)))))))
      (local.set $h (local.get $g)) (local.set $g (local.get $f)) (local.set $f (local.get $e))
      (local.set $e (i32.add (local.get $d) (local.get $t)))
      (local.set $t (i32.add (local.get $t)
        (i32.add
          (i32.xor (i32.xor (i32.rotr (local.get $a) (i32.const 2)) (i32.rotr (local.get $a) (i32.const 13)))
            (i32.rotr (local.get $a) (i32.const 22)))
          (i32.xor (i32.and (local.get $a) (i32.xor (local.get $b) (local.get $c))) (i32.and (local.get $b) (local.get $c))))))
      (local.set $d (local.get $c)) (local.set $c (local.get $b)) (local.set $b (local.get $a)) (local.set $a (local.get $t))
      (local.set $t (i32.load offset=256 (i32.and (i32.add (local.get $i) (i32.const 4)) (i32.const 60))))
      (local.set $u (i32.add (local.get $u)
        (i32.xor (i32.xor (i32.rotr (local.get $t) (i32.const 7)) (i32.rotr (local.get $t) (i32.const 18)))
          (i32.shr_u (local.get $t) (i32.const 3)))))
      (local.set $t (i32.load offset=256 (i32.and (i32.add (local.get $i) (i32.const 56)) (i32.const 60))))
      (i32.store offset=256 (i32.and (local.get $i) (i32.const 60))
        (i32.add
          (i32.add (local.get $u) (i32.load offset=256 (i32.and (i32.add (local.get $i) (i32.const 36)) (i32.const 60))))
          (i32.xor (i32.xor (i32.rotr (local.get $t) (i32.const 17)) (i32.rotr (local.get $t) (i32.const 19)))
            (i32.shr_u (local.get $t) (i32.const 10)))))
      (br_if $round (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 256))))
    (call $add (i32.const 512) (local.get $a)) (call $add (i32.const 516) (local.get $b))
    (call $add (i32.const 520) (local.get $c)) (call $add (i32.const 524) (local.get $d))
    (call $add (i32.const 528) (local.get $e)) (call $add (i32.const 532) (local.get $f))
    (call $add (i32.const 536) (local.get $g)) (call $add (i32.const 540) (local.get $h)))
  (func $add (param $at i32) (param $x i32)
    (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (local.get $x))))
  ;; The message is at 544, with 72 bytes of room behind it. Leaves the hash at 512.
  (func (export "sha256") (param $length i32) (local $p i32) (local $end i32)
    (i64.store offset=512 (i32.const 0) (i64.const 0xbb67ae856a09e667))
    (i64.store offset=520 (i32.const 0) (i64.const 0xa54ff53a3c6ef372))
    (i64.store offset=528 (i32.const 0) (i64.const 0x9b05688c510e527f))
    (i64.store offset=536 (i32.const 0) (i64.const 0x5be0cd191f83d9ab))
    (local.set $p (i32.const 544))
    (local.set $end (i32.add (i32.const 544) (i32.and (i32.add (local.get $length) (i32.const 72)) (i32.const -64))))
    (memory.fill (i32.add (local.get $p) (local.get $length)) (i32.const 0)
      (i32.sub (local.get $end) (i32.add (local.get $p) (local.get $length))))
    (i32.store8 offset=544 (local.get $length) (i32.const 0x80))
    (i32.store (i32.sub (local.get $end) (i32.const 4)) (call $swap (i32.shl (local.get $length) (i32.const 3))))
    (loop $next
      (call $block (local.get $p))
      (br_if $next (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 64))) (local.get $end))))
    (local.set $p (i32.const 512))
    (loop $out
      (i32.store (local.get $p) (call $swap (i32.load (local.get $p))))
      (br_if $out (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (i32.const 544))))))
