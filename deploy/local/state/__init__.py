"""What a mesh keeps on disk: ports, secrets, certificates, its mesh file."""
