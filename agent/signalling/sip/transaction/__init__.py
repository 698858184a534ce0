"""The four SIP transactions and the layer that holds them."""
