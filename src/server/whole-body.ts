/** A body that is small, whole in memory; undefined when it is larger than `mostBytes`, of which no more is then held. */
export async function wholeBody(body: AsyncIterable<Uint8Array>, mostBytes: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > mostBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
