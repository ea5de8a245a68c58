/** A trace that cannot be read: where, and why. Whoever knows the trace's name tells the user. */
export class TraceFault extends Error {
  readonly place: string

  constructor(place: string, why: string) {
    super(why)
    this.name = 'TraceFault'
    this.place = place
  }
}
