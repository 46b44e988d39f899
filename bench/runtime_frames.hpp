#pragma once
// The sizes of awaiters and coroutine frames.

/// Prints the table of sizes; returns how many of them miss their figure.
int report_frames();
