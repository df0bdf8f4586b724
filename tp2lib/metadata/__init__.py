"""Write metadata into pictures and read it: settings as text, provenance, the JSON record; and open untrusted images safely."""
