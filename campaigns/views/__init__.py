"""Pages and the answers for machines. The first line of each says who may; then one service, one answer."""
