import GRPCWire
import LinuxKernel
import Testing
import WorkloadSocket

@Test func aPeerIsItsCredentialsAndItsPinnedProcess() throws {
    let credentials = PeerCredentials(pid: 1, uid: 0, gid: 0)
    let peer = SocketPeer(credentials: credentials, handle: try ProcessHandle(pid: 1))
    #expect(peer.credentials == credentials)
}
