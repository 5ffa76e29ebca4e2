"""How each API speaks: one file each."""
