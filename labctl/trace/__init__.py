"""One real packet's way, told step by step: what the kernel traced, and which object put each rule there."""
