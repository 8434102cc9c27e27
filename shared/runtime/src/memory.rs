//! Memory is zeroed as it is given back, whoever asked for it: the buffers in which TLS, HTTP, the SDK and a parser hold a
//! value are none of ours, and nothing else would wipe them. `Zeroizing` stays with what is ours, where types say so.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ZEROING: ZeroAlloc<System> = ZeroAlloc(System);
