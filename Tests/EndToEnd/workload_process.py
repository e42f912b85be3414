"""A workload of its own: fetches X.509-SVIDs once and prints how that went, as JSON.

Started with one argument, a JSON object: "socket", and "uid", "gid" and "groups" to become someone else first. The
modules are loaded before that, because others may not be allowed to read them.
"""

import json
import os
import sys

import grpc

from workload import WorkloadAPI


def main() -> None:
    order = json.loads(sys.argv[1])
    if "uid" in order:
        os.chdir("/")
        os.setgroups(order["groups"])
        os.setresgid(order["gid"], order["gid"], order["gid"])
        os.setresuid(order["uid"], order["uid"], order["uid"])
    with WorkloadAPI(order["socket"]) as api:
        try:
            answer = api.first("FetchX509SVID")
            said = {"code": "OK", "details": "", "spiffe_ids": [svid.spiffe_id for svid in answer.svids]}
        except grpc.RpcError as error:
            said = {"code": error.code().name, "details": error.details(), "spiffe_ids": []}
    print(json.dumps(said))


main()
