"""`page`: the network on a page of this machine."""
