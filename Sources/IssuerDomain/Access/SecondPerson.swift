/// The consent of somebody else to a call.
package enum SecondPerson {
    /// Whether a second person has agreed to the call under way; set where calls are let in.
    @TaskLocal package static var hasAgreed = false
}
