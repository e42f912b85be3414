"""One of several processes that open many connections at once, each with a FetchX509SVID stream of its own.

Arguments: the socket and the number of connections. Prints one JSON object once every stream has had its first message
or has failed, and holds all of them until its standard input ends.
"""

import collections
import json
import sys

import grpc
import grpc.experimental

from workload import WorkloadAPI


def main() -> None:
    socket, count = sys.argv[1], int(sys.argv[2])
    # Without it, every channel has a thread of its own.
    options = [(grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)]
    peers = [WorkloadAPI(socket, options) for _ in range(count)]
    calls = [peer.start("FetchX509SVID", timeout=90.0) for peer in peers]
    ids: collections.Counter[str] = collections.Counter()
    failures: collections.Counter[str] = collections.Counter()
    for call in calls:
        try:
            ids.update(svid.spiffe_id for svid in next(call).svids)
        except grpc.RpcError as error:
            failures[f"{error.code().name}: {error.details()}"] += 1
    print(json.dumps({"ids": ids, "failures": failures}), flush=True)
    sys.stdin.read()
    for peer in peers:
        peer.channel.close()


main()
