//! Zeroes all memory when it is freed. TLS, HTTP, the SDK and parsers keep values in their own
//! buffers, which nothing else would zero. Our types that contain values also use `Zeroizing`, to
//! make this explicit.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ZEROING: ZeroAlloc<System> = ZeroAlloc(System);
