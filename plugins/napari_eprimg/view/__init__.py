"""What is drawn: layers, planes, projection, fusion, windows and the read-out."""
