//! Gives memory back to the system that the start or a reload needed for a moment: reading 5,000 routes takes
//! twice the memory of having them. Nothing on a request's way.

/// Returns free pages of the allocator. A worker that allocates just then waits for a moment; requests that are
/// passed through do not allocate.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time from any thread; it moves nothing that is in use.
    #[expect(unsafe_code, reason = "the allocator of the C library has no other door")]
    unsafe {
        libc::malloc_trim(0);
    }
}
