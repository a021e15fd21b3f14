"""Who calls: tokens in, a `Principal` out. Knows no HTTP."""
