"""Plays the policies of libcachesim over one trace; decodes it on its own, so that no mistake is shared.

usage: python3 - FILE FORMAT CAPACITY...    prints one line for each policy: name, then the hits at each capacity
"""

import gzip
import lzma
import struct
import subprocess
import sys

import libcachesim as lcs

POLICIES = {
    "fifo": lcs.FIFO,
    "lru": lcs.LRU,
    "lfu": lcs.LFU,
    "sieve": lcs.Sieve,
    "s3fifo": lcs.S3FIFO,
    "tinylfu": lcs.WTinyLFU,
    "gdsf": lcs.GDSF,
    "arc": lcs.ARC,
    "twoq": lcs.TwoQ,
    "slru": lcs.SLRU,
    "lirs": lcs.LIRS,
}
# Its S3-FIFO ends the process below: the small queue would hold nothing.
S3FIFO_LEAST = 10


def content(path):
    if path.endswith(".xz"):
        return lzma.open(path).read()
    if path.endswith(".gz"):
        return gzip.open(path).read()
    return subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout


def requests(path, form):
    """Pairs of key and size."""
    data = content(path)
    if form in ("u32", "i64"):
        return [(key, 1) for (key,) in struct.iter_unpack(">I" if form == "u32" else ">q", data)]
    if form == "csv":
        head, *rows = [line.split(",") for line in data.decode().splitlines()]
        return [(row[head.index("lbn")], 1) for row in rows]
    lines = [line.split() for line in data.decode().splitlines() if line.strip() not in ("", "*")]
    if form == "keys":
        return [(line[0], 1) for line in lines]
    if form == "sized":
        return [((line[1], line[2]), max(int(line[2]), 1)) for line in lines]
    return [(page, 1) for line in lines for page in range(int(line[0]), int(line[0]) + int(line[1]))]


def hits(cache, trace, following):
    request = lcs.Request()
    count = 0
    for now, (key, size) in enumerate(trace):
        request.obj_id, request.obj_size, request.clock_time = key, size, now
        request.next_access_vtime = following[now]
        count += cache.get(request)
    return count


def main():
    path, form, *capacities = sys.argv[1:]
    names = {}
    trace = [(names.setdefault(key, len(names) + 1), size) for key, size in requests(path, form)]
    following, seen = [2**62] * len(trace), {}
    for now in range(len(trace) - 1, -1, -1):
        following[now] = seen.get(trace[now][0], 2**62)
        seen[trace[now][0]] = now
    sized = any(size != 1 for _, size in trace)
    policies = dict(POLICIES, belady=lcs.BeladySize if sized else lcs.Belady)
    for name, make in policies.items():
        results = []
        for capacity in map(int, capacities):
            is_possible = name != "s3fifo" or capacity >= S3FIFO_LEAST
            results.append(hits(make(cache_size=capacity, hashpower=18), trace, following) if is_possible else "-")
        print(name, *results, flush=True)


main()
