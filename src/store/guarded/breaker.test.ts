import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Breaker, type BreakerMemory, type BreakerState, BREAKER_LIMITS as LIMITS } from './breaker.ts'
import { breakerInMemory } from './breaker-file.ts'
import { VirtualClock } from './virtual-clock.fixture.ts'

const gone = new Error('it is gone')

function open(clock: VirtualClock, memory: BreakerMemory = breakerInMemory()) {
  const told: string[] = []
  const breaker = new Breaker({ place: 'there', memory, clock, limits: LIMITS, tell: ({ kind }) => told.push(kind) })
  return { breaker, told }
}

class Untouched extends VirtualClock {
  override random(): number {
    return 0
  }
}

type Step = 'admit' | 'answer' | 'fail' | 'probe answers' | 'probe fails' | 'probe is cut off' | 'next process' | number

/** What it is to do, said again in the plainest way; of one process after the other. */
class Model {
  untilMs = 0
  trips = 0
  isProbing = false
  failures = 0
  hasAnswered = false

  admit(now: number): string {
    if (this.untilMs === 0) return 'closed'
    if (this.isProbing || now < this.untilMs) return 'open'
    this.isProbing = true
    this.untilMs = now + LIMITS.probeMs
    return 'probe'
  }

  fail(now: number): void {
    this.failures++
    if (this.failures >= (this.hasAnswered ? LIMITS.mostFailures : 1) && this.untilMs === 0) this.open(now)
  }

  open(now: number): void {
    this.untilMs = now + Math.min(LIMITS.mostCoolDownMs, LIMITS.coolDownMs * 2 ** this.trips)
    this.trips++
  }

  answer(): void {
    this.hasAnswered = true
    this.failures = 0
  }

  probed(now: number, isBack: boolean | undefined): void {
    if (!this.isProbing) return
    this.isProbing = false
    if (isBack === undefined) this.untilMs = now
    else if (!isBack) this.open(now)
    else {
      this.answer()
      this.untilMs = 0
      this.trips = 0
    }
  }

  nextProcess(): void {
    this.isProbing = false
    this.failures = 0
    this.hasAnswered = false
  }
}

test('of one process after the other it does what the model does', () => {
  const words: Step[] = ['admit', 'answer', 'fail', 'probe answers', 'probe fails', 'probe is cut off', 'next process']
  const step = fc.oneof(
    fc.constantFrom(...words),
    fc.constant<Step>('admit'),
    fc.constant<Step>('fail'),
    fc.nat(20_000),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new Untouched()
      const memory = breakerInMemory()
      const model = new Model()
      let { breaker } = open(clock, memory)
      const now = () => clock.wallMs()
      const acts = {
        admit: () => expect(breaker.admit()).toBe(model.admit(now())),
        answer: () => [breaker.answered(), model.answer()],
        fail: () => [breaker.failed(gone), model.fail(now())],
        'probe answers': () => [breaker.probed(true), model.probed(now(), true)],
        'probe fails': () => [breaker.probed(false, gone), model.probed(now(), false)],
        'probe is cut off': () => [breaker.probed(undefined), model.probed(now(), undefined)],
        'next process': () => {
          breaker = open(clock, memory).breaker
          model.nextProcess()
        },
      }
      for (const one of steps) {
        if (typeof one === 'number') clock.skip(one)
        else acts[one]()
      }
    }),
    { numRuns: 500 },
  )
})

test('of many processes one probes, and all others are told at once', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(3_000)), { maxLength: 60 }), fc.integer(), (turns, seed) => {
      const clock = new VirtualClock(seed)
      const memory = breakerInMemory()
      const processes = Array.from({ length: 5 }, () => open(clock, memory).breaker)
      let probing: { readonly who: number; readonly untilMs: number } | undefined
      let mostUntilMs = 0
      processes[0]?.failed(gone)
      for (const [who, ms] of turns) {
        const breaker = processes[who] as Breaker
        const admission = breaker.admit()
        if (admission !== 'open') {
          expect(admission).toBe('probe')
          // Only once the one before has had its time.
          expect(clock.wallMs()).toBeGreaterThanOrEqual(probing?.untilMs ?? 0)
          expect(clock.wallMs()).toBeGreaterThanOrEqual(mostUntilMs)
          probing = { who, untilMs: clock.wallMs() + LIMITS.probeMs }
        } else if (probing?.who === who && ms % 2 === 0) {
          breaker.probed(false, gone)
          mostUntilMs = clock.wallMs() + LIMITS.coolDownMs
          probing = undefined
        }
        clock.skip(ms)
      }
    }),
  )
})

test.each([50, 400, 900, 5_000])(
  'what is lost by waiting %i ms in vain each time is a twentieth of all time',
  (waitMs) => {
    const clock = new VirtualClock()
    const { breaker } = open(clock)
    let lostMs = 0
    breaker.answered()
    for (let turn = 0; turn < 20_000; turn++) {
      const admission = breaker.admit()
      if (admission === 'closed') {
        const sinceMs = clock.elapsedMs()
        clock.skip(waitMs)
        lostMs += waitMs
        breaker.lost(gone, sinceMs)
        // The worst: it always seems to be back.
      } else if (admission === 'probe') breaker.probed(true)
      clock.skip(10)
      expect(lostMs).toBeLessThanOrEqual(clock.elapsedMs() / 20 + LIMITS.mostLostMs + waitMs)
    }
    expect(lostMs).toBeGreaterThan(waitMs)
  },
)

test('what many wait for at the same time is lost once', () => {
  const clock = new VirtualClock()
  const { breaker, told } = open(clock)
  breaker.answered()
  clock.skip(LIMITS.mostLostMs - 10)
  for (let i = 0; i < 50; i++) breaker.lost(gone, 0)
  expect(told).toEqual([])
  clock.skip(100)
  breaker.lost(gone, 0)
  expect(told).toEqual(['opened'])
})

test('what is lost now and then is forgotten', () => {
  const clock = new VirtualClock()
  const { breaker, told } = open(clock)
  breaker.answered()
  for (let i = 0; i < 100; i++) {
    const sinceMs = clock.elapsedMs()
    clock.skip(LIMITS.mostLostMs - 10)
    breaker.lost(gone, sinceMs)
    clock.skip(LIMITS.mostLostMs * LIMITS.coolDownPerLostMs)
  }
  expect(told).toEqual([])
})

test('two processes that find it gone at the same time save that once', () => {
  const clock = new VirtualClock()
  const memory = breakerInMemory()
  const [one, other] = [open(clock, memory).breaker, open(clock, memory).breaker]
  for (const breaker of [one, other]) expect(breaker.admit()).toBe('closed')
  one.failed(gone)
  const saved = memory.load()
  other.failed(gone)
  expect(memory.load()).toEqual(saved)
  expect(other.admit()).toBe('open')
  expect(memory.save({ ...(saved as BreakerState), trips: 9 })).toBe('overtaken')
})

test('it is told once when it opens and once when it is back, with how long it is left alone', () => {
  const clock = new Untouched()
  const { breaker, told } = open(clock)
  for (let i = 0; i < 5; i++) breaker.failed(gone)
  expect(breaker.openError()).toMatchObject({
    code: 'remote.unreachable',
    context: { server: 'there', isOpen: true, forMs: LIMITS.coolDownMs },
  })
  clock.skip(LIMITS.coolDownMs)
  expect(breaker.admit()).toBe('probe')
  breaker.probed(true)
  breaker.probed(true)
  expect(told).toEqual(['opened', 'closed'])
})

test('cool-downs double while nothing answers, up to the longest, and begin anew after an answer', () => {
  const clock = new Untouched()
  const { breaker } = open(clock)
  const forMs = () => Number(breaker.openError().context.forMs)
  breaker.failed(gone)
  for (let trip = 0; trip < 15; trip++) {
    expect(forMs()).toBe(Math.min(LIMITS.mostCoolDownMs, LIMITS.coolDownMs * 2 ** trip))
    clock.skip(forMs())
    expect(breaker.admit()).toBe('probe')
    breaker.probed(trip === 14, gone)
  }
  for (let i = 0; i < LIMITS.mostFailures; i++) breaker.failed(gone)
  expect(forMs()).toBe(LIMITS.coolDownMs)
})

test('cool-downs differ between machines, and are never shorter', () => {
  const forMs = [1, 2, 3, 4, 5].map((seed) => {
    const { breaker } = open(new VirtualClock(seed))
    breaker.failed(gone)
    return Number(breaker.openError().context.forMs)
  })
  expect(new Set(forMs).size).toBe(5)
  for (const ms of forMs) {
    expect(ms).toBeGreaterThanOrEqual(LIMITS.coolDownMs)
    expect(ms).toBeLessThanOrEqual(1.5 * LIMITS.coolDownMs)
  }
})

test.each([
  ['back by a year', -365 * 24 * 3_600_000],
  ['back by an hour', -3_600_000],
  ['back by a minute', -60_000],
  ['on by an hour', 3_600_000],
])('a clock that is set %s does not shut an end out', (_, byMs) => {
  const clock = new VirtualClock()
  const memory = breakerInMemory()
  open(clock, memory).breaker.failed(gone)
  clock.setWall(byMs)
  expect(open(clock, memory).breaker.admit()).toBe('probe')
  expect(open(clock, memory).breaker.admit()).toBe('open')
})

test('a record from a far future does not shut an end out', () => {
  const clock = new VirtualClock()
  const memory = breakerInMemory()
  memory.save({ version: 7, trips: 1, untilMs: clock.wallMs() * 2, savedMs: clock.wallMs(), firstAnswerMs: 0 })
  expect(open(clock, memory).breaker.admit()).toBe('probe')
})

test('how long a first answer took is remembered where it was long, and a late one closes', () => {
  const clock = new VirtualClock()
  const memory = breakerInMemory()
  const { breaker, told } = open(clock, memory)
  breaker.failed(gone)
  breaker.answeredFirst(400, 75)
  expect(told).toEqual(['opened', 'closed'])
  expect(open(clock, memory).breaker.firstAnswerMs).toBe(400)
  const saves: number[] = []
  const seen: BreakerMemory = {
    ...memory,
    save(state) {
      saves.push(state.firstAnswerMs)
      return memory.save(state)
    },
  }
  for (const [ms, remembered] of [
    [450, 400],
    [600, 600],
    [20, 0],
    [30, 0],
  ] as const) {
    open(clock, seen).breaker.answeredFirst(ms, 75)
    expect(open(clock, memory).breaker.firstAnswerMs).toBe(remembered)
  }
  expect(saves).toEqual([600, 0])
})

test('where nothing can be kept, a process still knows what it has seen itself', () => {
  const clock = new Untouched()
  const { breaker } = open(clock, { load: () => undefined, save: () => 'unable' })
  breaker.failed(gone)
  expect(breaker.admit()).toBe('open')
  clock.skip(LIMITS.coolDownMs)
  expect([breaker.admit(), breaker.admit()]).toEqual(['probe', 'open'])
  breaker.probed(true)
  expect(breaker.admit()).toBe('closed')
})

test('a process that finds an end gone takes over what another has written of it meanwhile', () => {
  const clock = new Untouched()
  const memory = breakerInMemory()
  const [one, two] = [open(clock, memory), open(clock, memory)]
  expect([one.breaker.admit(), two.breaker.admit()]).toEqual(['closed', 'closed'])
  one.breaker.failed(gone)
  two.breaker.failed(gone)
  clock.skip(LIMITS.coolDownMs)
  expect(one.breaker.admit()).toBe('probe')
  one.breaker.probed(true)
  expect(two.breaker.admit()).toBe('closed')
})

test('what a process knows to be back is back for those after it, though another wrote meanwhile', () => {
  const clock = new Untouched()
  const memory = breakerInMemory()
  const one = open(clock, memory)
  one.breaker.failed(gone)
  const state = memory.load()
  if (state !== undefined) memory.save({ ...state, version: state.version + 5 })
  one.breaker.answeredFirst(10, 75)
  expect(open(clock, memory).breaker.admit()).toBe('closed')
})
