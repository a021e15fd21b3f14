/** Waits between attempts to connect, in milliseconds: 0.5 s, doubling up to 30 s, with jitter. */
export class Backoff {
  private next: number

  constructor(
    private readonly first = 500,
    private readonly longest = 30_000,
    private readonly random: () => number = Math.random,
  ) {
    this.next = first
  }

  take(): number {
    const wait = this.next * (0.5 + this.random() / 2)
    this.next = Math.min(this.next * 2, this.longest)
    return wait
  }

  reset(): void {
    this.next = this.first
  }
}
