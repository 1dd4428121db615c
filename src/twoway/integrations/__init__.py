"""twoway inside other people's frameworks and servers: one module each, which alone imports what it is for."""
