"""What a proxy that ends TLS says about its client: read here, in one place; who may say it is asked elsewhere."""
